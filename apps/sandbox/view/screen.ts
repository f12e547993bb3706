/** Draws frames over each other on a terminal, without flicker, and leaves the last one there. */
const ESC = '\u001b[';
const HIDE_CURSOR = `${ESC}?25l`;
const SHOW_CURSOR = `${ESC}?25h`;
/** Terminals that know it show what is between them in one step; the others ignore it. */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;

export interface Screen {
  draw: (lines: readonly string[]) => void;
  /** Begins anew at the top: after a change of size the old lines may stand anywhere. */
  clear: () => void;
  /** The cursor below the last frame, and visible. */
  close: () => void;
}

export function createScreen(write: (text: string) => void): Screen {
  let drawn = 0;
  return {
    draw(lines) {
      const up = drawn === 0 ? HIDE_CURSOR : `${ESC}${drawn}F`;
      // Each line clears the rest of the old one; what is below the last goes in one.
      write(`${BEGIN}${up}${lines.map((line) => `${line}${ESC}K\n`).join('')}${ESC}J${END}`);
      drawn = lines.length;
    },
    clear() {
      if (drawn > 0) write(`${ESC}2J${ESC}H`);
      drawn = 0;
    },
    close() {
      if (drawn > 0) write(SHOW_CURSOR);
      drawn = 0;
    },
  };
}
