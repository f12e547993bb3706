/** The live view as lines of text: a pure function of what is known. Colours help, but every state also has a word. */
import type { createColors } from 'picocolors';
import { NAME, TOLERANCE_PERCENT } from '../shop/manifests.ts';
import { shortName, type Happening } from '../story/happenings.ts';
import type { PodScene, Scene } from '../story/scene.ts';
import type { Act, Progress } from '../story/story.ts';

export interface ViewState {
  scene: Scene;
  /** Undefined: the story is over, or was not asked for. */
  act: { act: Act; place: number; of: number; progress: Progress } | undefined;
  happenings: readonly Happening[];
  /** Shown at the foot: what a person can do. */
  hints: readonly string[];
}

export interface ViewOptions {
  columns: number;
  rows: number;
  colors: Colors;
}

/** Of a pod's cell, blank edges included. The whole shop is to stand in one row, on 80 columns too. */
const CELL_WIDTH = { least: 8, most: 12 };
/** A lower terminal is for what happens: what people should know to enjoy it is left out. */
const ROWS_FOR_WORDS = 28;
const MARGIN = '  ';

const stamp = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;

type Colors = ReturnType<typeof createColors>;
type Paint = (text: string) => string;

/** What a person sees of a pod at a glance. */
export function lookOf(pod: PodScene): 'well' | 'failing' | 'out' | 'aside' | 'trying' | 'waiting' {
  if (pod.traffic === 'no') return 'out';
  if (pod.traffic === 'pause') return 'aside';
  if (!pod.inSlice) return 'waiting';
  if ((pod.badPercent ?? 0) > TOLERANCE_PERCENT && !pod.onProbation) return 'failing';
  return pod.onProbation ? 'trying' : 'well';
}

/** In a wide cell, and in a narrow one. */
const WORDS: Record<ReturnType<typeof lookOf>, [wide: string, narrow: string]> = {
  well: ['in traffic', 'in'],
  failing: ['in traffic', 'in'],
  out: ['OUT', 'OUT'],
  aside: ['SET ASIDE', 'ASIDE'],
  trying: ['on trial', 'trial'],
  waiting: ['starting', 'start'],
};

function paintOf(look: ReturnType<typeof lookOf>, colors: Colors): Paint {
  switch (look) {
    case 'well':
      return (text) => colors.bgGreen(colors.black(text));
    case 'failing':
      return (text) => colors.bgRed(colors.whiteBright(text));
    case 'out':
      return (text) => colors.bgBlackBright(colors.whiteBright(text));
    case 'aside':
      return (text) => colors.bgMagenta(colors.whiteBright(text));
    case 'trying':
      return (text) => colors.bgYellow(colors.black(text));
    case 'waiting':
      return (text) => colors.dim(text);
  }
}

function cell(pod: PodScene, width: number, colors: Colors): string[] {
  const look = lookOf(pod);
  const isWide = width === CELL_WIDTH.most;
  const word = pod.backIn === undefined ? WORDS[look][isWide ? 0 : 1] : `OUT ${Math.ceil(pod.backIn)} s`;
  const bad = pod.badPercent === undefined ? '' : `${Math.round(pod.badPercent)}%${isWide ? ' bad' : ' ✗'}`;
  const rate = pod.requestsPerSecond === undefined ? '' : `${Math.round(pod.requestsPerSecond)}/s`;
  const paint = paintOf(look, colors);
  return [shortName(pod.name), word, rate, bad].map((text, line) => {
    const padded = ` ${cut(text, width - 1)}`.padEnd(width);
    return paint(line === 0 ? colors.bold(padded) : padded);
  });
}

function cells(pods: readonly PodScene[], { columns, colors }: ViewOptions): string[] {
  const room = columns - MARGIN.length;
  const width =
    Math.floor((room + 1) / Math.max(1, pods.length)) - 1 >= CELL_WIDTH.most ? CELL_WIDTH.most : CELL_WIDTH.least;
  const each = Math.max(1, Math.floor((room + 1) / (width + 1)));
  const lines: string[] = [];
  for (let from = 0; from < pods.length; from += each) {
    const row = pods.slice(from, from + each).map((pod) => cell(pod, width, colors));
    for (let line = 0; line < 4; line += 1) lines.push(MARGIN + row.map((one) => one[line]).join(' '));
    lines.push('');
  }
  return lines;
}

/** `■■■■■│■■□`: one mark a pod, full where it is in traffic, and the floor between them. */
function gauge({ pods, floor }: Scene, width: number, colors: Colors): string {
  const inTraffic = pods.filter(({ inSlice }) => inSlice).length;
  const marks = pods.map((_, place) => (place < inTraffic ? colors.green('■') : colors.gray('□')));
  if (floor !== undefined && floor <= pods.length) marks.splice(floor, 0, colors.bold('│'));
  const shown = floor === undefined ? '' : `, floor ${floor}`;
  return `${marks.join('')}  ${cut(`${inTraffic} of ${pods.length} in traffic${shown}`, width - marks.length - 2)}`;
}

const TONES: Record<Happening['tone'], keyof Pick<Colors, 'red' | 'green' | 'cyan'>> = {
  bad: 'red',
  good: 'green',
  note: 'cyan',
};

/** At most `rows - 1` lines of at most `columns` characters, so that a terminal neither wraps nor scrolls them. */
export function frame({ scene, act, happenings, hints }: ViewState, options: ViewOptions): string[] {
  const { columns, rows, colors } = options;
  const width = columns - MARGIN.length;
  const title = `Kubervisor demo: ${scene.pods.length} pods of the shop's "${NAME}"`;
  const time = stamp(scene.seconds);
  const { requestsPerSecond, badPercent } = scene.shoppers;
  const shoppers = cut(
    `shoppers: ${Math.round(requestsPerSecond)} requests/s, ${Math.round(badPercent)}% bad answers`,
    width,
  );
  const head = [
    '',
    MARGIN + colors.bold(cut(title, width - time.length - 1).padEnd(width - time.length - 2)) + colors.dim(time),
    '',
    ...cells(scene.pods, options),
    MARGIN + gauge(scene, width, colors),
    MARGIN + (badPercent >= TOLERANCE_PERCENT / 10 ? colors.red(shoppers) : shoppers),
    ...(scene.degraded === undefined
      ? []
      : wrap(`${scene.degraded.reason}: ${scene.degraded.message}`, width).map(
          (line) => MARGIN + colors.yellow(colors.bold(line)),
        )),
    '',
  ];
  if (act !== undefined) {
    const { progress } = act;
    head.push(
      MARGIN + colors.bold(cut(`Act ${act.place} of ${act.of}: ${act.act.title}`, width)),
      ...(rows < ROWS_FOR_WORDS ? [] : wrap(act.act.says, width).map((line) => MARGIN + colors.dim(line))),
      ...act.act.then.map(({ text }, place) =>
        progress.claims[place] === true
          ? `${MARGIN}${colors.green('✓')} ${cut(text, width - 2 - 9)}${colors.dim(after(progress, place))}`
          : `${MARGIN}${colors.dim('·')} ${colors.dim(cut(text, width - 2))}`,
      ),
      ...(progress.failure === undefined ? [] : wrap(progress.failure, width).map((line) => MARGIN + colors.red(line))),
      '',
    );
  }
  const foot = hints.length === 0 ? [] : ['', ...hints.map((line) => MARGIN + colors.dim(cut(line, width)))];
  const room = Math.max(0, rows - 1 - head.length - foot.length);
  return [...head, ...told(happenings, width, room, colors), ...foot].slice(0, Math.max(1, rows - 1));
}

/** How long into the act a claim came true. */
function after({ startedAt, firstHeld }: Progress, place: number): string {
  const first = firstHeld[place];
  return first === undefined ? '' : `  ${(first - startedAt).toFixed(1)} s`;
}

/** The last ones that there is room for, the newest below. */
function told(happenings: readonly Happening[], width: number, room: number, colors: Colors): string[] {
  const lines: string[] = [];
  for (const { seconds, tone, text } of happenings.toReversed()) {
    const [first = '', ...more] = wrap(text, width - 7);
    const block = [
      `${MARGIN}${colors.dim(stamp(seconds).padStart(5))}  ${colors[TONES[tone]](first)}`,
      ...more.map((line) => `${MARGIN}       ${colors[TONES[tone]](line)}`),
    ];
    if (lines.length + block.length > room) break;
    lines.unshift(...block);
  }
  return lines;
}

/** Breaks at blanks; a word that is too long is cut. */
export function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = cut(word, width);
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(cut(word, width));
  }
  return lines;
}
