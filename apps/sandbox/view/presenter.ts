/** Three ways to show the same: a live view on a terminal, plain lines elsewhere, nothing but the report for machines. */
import { createColors } from 'picocolors';
import type { Happening } from '../story/happenings.ts';
import { frame, type ViewState } from './frame.ts';
import { createScreen } from './screen.ts';

export interface Presenter {
  /** A line before, between or after what is shown. */
  say: (line: string) => void;
  /** `fresh`: what happened since the last call. */
  show: (state: ViewState, fresh: readonly Happening[]) => void;
  /** Gives the terminal back; what was shown last stays. May be called more than once. */
  close: () => void;
}

export interface Terminal {
  write: (text: string) => unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export function livePresenter(terminal: Terminal, colored: boolean): Presenter {
  const screen = createScreen((text) => terminal.write(text));
  const colors = createColors(colored);
  let size = '';
  return {
    say: (line) => {
      screen.close();
      terminal.write(`${line}\n`);
    },
    show(state) {
      const { columns = 80, rows = 24 } = terminal;
      if (size !== `${columns}x${rows}`) screen.clear();
      size = `${columns}x${rows}`;
      screen.draw(frame(state, { columns, rows, colors }));
    },
    close: () => screen.close(),
  };
}

/** One line a happening: `  12.3 s  …`, and where an act begins, holds or fails. */
export function plainPresenter(terminal: Terminal): Presenter {
  let last = '';
  let hinted = false;
  const at = (seconds: number, text: string) => terminal.write(`${seconds.toFixed(1).padStart(6)} s  ${text}\n`);
  return {
    say: (line) => void terminal.write(`${line}\n`),
    show({ scene, act, hints }, fresh) {
      if (act !== undefined) {
        const { title, says } = act.act;
        const { outcome, failure } = act.progress;
        const begins = `${act.place} ${title}`;
        // Told again, the first act may follow upon itself.
        if (!last.startsWith(begins) || (outcome === 'playing' && last !== `${begins} playing`))
          at(scene.seconds, `Act ${act.place} of ${act.of}: ${title}. ${says}`);
        for (const { seconds, text } of fresh) at(seconds, `  ${text}`);
        if (outcome !== 'playing' && last !== `${begins} ${outcome}`)
          at(scene.seconds, outcome === 'held' ? '  held' : `  FAILED: ${failure ?? ''}`);
        last = `${begins} ${outcome}`;
        return;
      }
      // After the story: once, what a person can do; then whatever happens.
      if (!hinted) terminal.write(`\n${hints.join('\n')}\n\n`);
      hinted = true;
      for (const { seconds, text } of fresh) at(seconds, `  ${text}`);
    },
    close: () => undefined,
  };
}

export const silentPresenter: Presenter = { say: () => undefined, show: () => undefined, close: () => undefined };
