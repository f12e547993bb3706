/** The conformance check: asks a running plug-in all that it owes, and tells what of it does not hold. */
import { checkParameters } from '@kubervisor/runtime/plugin-parameters';
import {
  MAX_INFO_LENGTH,
  MAX_INFO_MILLISECONDS,
  type DetectorInfo,
  type VerdictRequest,
} from '@kubervisor/shared/detection/contract';
import { readInfo } from '@kubervisor/shared/detection/plugin-answer';
import { contentTypeProblems, problemsOf, type Answer, type Problem } from '../core/judge-answer.ts';
import { OBLIGATION_NAMES, OBLIGATIONS, type ObligationName } from '../core/obligations.ts';
import { ordinary, parametersToRefuse, parametersToTry, REFUSALS, VARIANTS, type Asked } from '../core/questions.ts';
import { connect, type Wire } from './wire.ts';

export interface CheckOptions {
  /** As in the resource. Not given: the first that the plug-in's schema takes of none, its examples and its defaults. */
  parameters?: Record<string, unknown>;
  /** 5000, as `timeoutSeconds` of the resource, unless told. */
  timeoutMilliseconds?: number;
  /** As they come. */
  onFinding?: (finding: Finding) => void;
}

/** `unchecked`: something before it is broken, so nothing can be said. */
export interface Finding {
  obligation: ObligationName;
  level: 'must' | 'should';
  says: string;
  result: 'held' | 'broken' | 'unchecked';
  problem?: string;
  todo?: string;
  /** The request, its body cut. */
  sent?: string;
  /** The answer, its body cut. */
  received?: string;
}

export interface Report {
  url: string;
  plugin?: { name: string; version: string };
  parameters?: Record<string, unknown>;
  /** All that must hold does, and all of it was checked. */
  ok: boolean;
  /** Why not all could be checked, where that is for whoever checks to mend. */
  incomplete?: string;
  findings: Finding[];
}

const DEFAULT_TIMEOUT_MILLISECONDS = 5000;

export async function check(url: string | URL, options: CheckOptions = {}): Promise<Report> {
  const base = new URL(url);
  const wire = connect(base);
  const findings = new Map<ObligationName, Finding>();
  const tell = (obligation: ObligationName, rest: Omit<Finding, 'obligation' | 'level' | 'says'>): void => {
    if (findings.has(obligation)) return;
    const { level, says, todo } = OBLIGATIONS[obligation];
    const finding = { obligation, level, says, ...rest, ...(rest.result === 'broken' && { todo }) };
    findings.set(obligation, finding);
    options.onFinding?.(finding);
  };
  try {
    const found = await ask(wire, options, tell);
    const why = found.incomplete ?? 'something that it rests on does not hold';
    for (const name of OBLIGATION_NAMES) tell(name, { result: 'unchecked', problem: why });
    const all = OBLIGATION_NAMES.flatMap((name) => findings.get(name) ?? []);
    return {
      url: base.href,
      ...found,
      ok: found.incomplete === undefined && all.every(({ level, result }) => level === 'should' || result === 'held'),
      findings: all,
    };
  } finally {
    await wire.close();
  }
}

type Tell = (obligation: ObligationName, rest: Omit<Finding, 'obligation' | 'level' | 'says'>) => void;
type Found = Pick<Report, 'plugin' | 'parameters' | 'incomplete'>;

/** What is asked, in its order; what it does not come to is unchecked. */
async function ask(wire: Wire, options: CheckOptions, tell: Tell): Promise<Found> {
  const timeoutMilliseconds = options.timeoutMilliseconds ?? DEFAULT_TIMEOUT_MILLISECONDS;
  if (!(await checkHealth(wire, tell))) return {};
  const info = await checkInfo(wire, tell);
  const plugin = info && { plugin: { name: info.name, version: info.version } };
  const parameters = fitting(info?.parameters, options.parameters);
  if (typeof parameters === 'string') return { ...plugin, incomplete: parameters };
  const found: Found = { ...plugin, parameters };
  const asked: Asked = { parameters, timeoutMilliseconds };

  const usual = await checkOrdinary(wire, ordinary(asked), tell);
  if (usual === undefined) return found;
  for (const [name, questions] of Object.entries(VARIANTS)) {
    await checkVariant(wire, name as ObligationName, questions(asked), usual, tell);
  }
  for (const [name, body] of Object.entries(REFUSALS)) {
    await checkRefusal(wire, name as ObligationName, body(asked), timeoutMilliseconds, tell);
  }
  const unfit =
    info === undefined
      ? undefined
      : parametersToRefuse(info.parameters, parameters).find((one) => fits(info, one) === false);
  if (unfit !== undefined) {
    const body = JSON.stringify(ordinary({ ...asked, parameters: unfit }));
    await checkRefusal(wire, 'refuses-parameters', body, timeoutMilliseconds, tell);
  } else tell('refuses-parameters', { result: 'unchecked', problem: 'its schema takes everything that was tried' });
  await checkVariant(wire, 'still-answers', [ordinary(asked)], usual, tell);
  return found;
}

async function checkHealth(wire: Wire, tell: Tell): Promise<boolean> {
  const answer = await wire.get('/healthz', MAX_INFO_MILLISECONDS);
  const sent = 'GET /healthz';
  if ('failed' in answer && answer.failed === 'broken') {
    tell('reachable', { result: 'broken', problem: `there is no connection (${answer.code})`, sent, ...shown(answer) });
    return false;
  }
  tell('reachable', { result: 'held' });
  const isWell = !('failed' in answer) && answer.status === 200;
  const problem = 'failed' in answer ? 'it did not answer' : `it answered ${answer.status}`;
  tell('health', isWell ? { result: 'held' } : { result: 'broken', problem, sent, ...shown(answer) });
  return true;
}

async function checkInfo(wire: Wire, tell: Tell): Promise<DetectorInfo | undefined> {
  const answer = await wire.get('/v1/info', MAX_INFO_MILLISECONDS);
  const broken = (obligation: ObligationName, problem: string): undefined =>
    void tell(obligation, { result: 'broken', problem, sent: 'GET /v1/info', ...shown(answer) });
  if ('failed' in answer) return broken('info', INFO_FAILURES[answer.failed]);
  if (answer.status !== 200) return broken('info', `it answered ${answer.status}`);
  if (answer.text.length > MAX_INFO_LENGTH) return broken('info', 'the answer is larger');
  const [type] = contentTypeProblems(answer.contentType);
  if (type !== undefined) broken('info', type.problem);
  else tell('info', { result: 'held' });
  const read = readInfo(answer.text);
  if ('problem' in read) return broken('info-shape', `the answer ${read.problem}`);
  tell('info-shape', { result: 'held' });
  const checked = checkParameters(read.value.parameters, {});
  if ('unchecked' in checked) return broken('info-schema', `the schema ${checked.unchecked}`);
  tell('info-schema', { result: 'held' });
  return read.value;
}

const INFO_FAILURES = {
  late: 'there was no whole answer in time',
  tooLarge: 'the answer is larger',
  broken: 'the connection broke before the answer was whole',
} as const;

/** The first that the schema takes; else, as a text, what whoever checks must give. */
function fitting(
  schema: Record<string, unknown> | undefined,
  given: Record<string, unknown> | undefined,
): Record<string, unknown> | string {
  if (schema === undefined) return given ?? {};
  const problemWith = (parameters: Record<string, unknown>): string | undefined => {
    const checked = checkParameters(schema, parameters);
    return 'unchecked' in checked ? `the schema ${checked.unchecked}` : checked.problem;
  };
  if (given !== undefined) {
    const problem = problemWith(given);
    return problem === undefined ? given : `the parameters given do not fit the plug-in's schema: ${problem}`;
  }
  const found = parametersToTry(schema).find((one) => problemWith(one) === undefined);
  return found ?? `the plug-in needs parameters (${problemWith({})}): give some that it takes with --parameters`;
}

/** Undefined where the schema cannot tell. */
function fits(info: DetectorInfo, parameters: Record<string, unknown>): boolean | undefined {
  const checked = checkParameters(info.parameters, parameters);
  return 'unchecked' in checked ? undefined : checked.problem === undefined;
}

const OF_ANSWERS = [
  'status',
  'in-time',
  'size',
  'content-type',
  'shape',
  'asked-pods',
  'uid',
  'one-verdict',
  'one-line',
] as const satisfies ObligationName[];
/** Without these nothing of the answer can be read. */
const FATAL: readonly ObligationName[] = ['status', 'in-time', 'size', 'shape'];

/** The obligations that the ordinary answer broke; undefined where it could not be read. */
async function checkOrdinary(
  wire: Wire,
  request: VerdictRequest,
  tell: Tell,
): Promise<Set<ObligationName> | undefined> {
  const body = JSON.stringify(request);
  const answer = await wire.post('/v1/verdicts', body, request.timeoutMilliseconds);
  const problems = problemsOf(request, answer);
  const broken = new Set(problems.map(({ obligation }) => obligation));
  for (const { obligation, problem } of problems) {
    tell(obligation, { result: 'broken', problem, sent: shownRequest(body), ...shown(answer) });
  }
  if (FATAL.some((name) => broken.has(name))) {
    // What was found out before it stopped: an answer without the right shape came in time all the same.
    const reached = broken.has('shape') ? (['status', 'in-time', 'size', 'content-type'] as const) : [];
    for (const name of reached) tell(name, { result: 'held' });
    return undefined;
  }
  for (const name of OF_ANSWERS) tell(name, { result: 'held' });
  return broken;
}

/** What the ordinary answer had wrong is told already, and what only should be is told of that one. */
async function checkVariant(
  wire: Wire,
  obligation: ObligationName,
  requests: VerdictRequest[],
  usual: ReadonlySet<ObligationName>,
  tell: Tell,
): Promise<void> {
  const isNew = (one: Problem): boolean => OBLIGATIONS[one.obligation].level === 'must' && !usual.has(one.obligation);
  const answers = await Promise.all(
    requests.map(async (request) => {
      const body = JSON.stringify(request);
      const answer = await wire.post('/v1/verdicts', body, request.timeoutMilliseconds);
      return { body, answer, first: problemsOf(request, answer).find(isNew) };
    }),
  );
  for (const { body, answer, first } of answers) {
    if (first === undefined) continue;
    tell(obligation, { result: 'broken', problem: first.problem, sent: shownRequest(body), ...shown(answer) });
  }
  tell(obligation, { result: 'held' });
}

async function checkRefusal(
  wire: Wire,
  obligation: ObligationName,
  body: string,
  timeoutMilliseconds: number,
  tell: Tell,
): Promise<void> {
  const answer = await wire.post('/v1/verdicts', body, timeoutMilliseconds);
  const isRefused = !('failed' in answer) && (answer.status < 200 || answer.status > 299);
  if (isRefused) return tell(obligation, { result: 'held' });
  const problem = 'failed' in answer ? 'it did not say so: a refusal is an answer too' : `it answered ${answer.status}`;
  tell(obligation, { result: 'broken', problem, sent: shownRequest(body), ...shown(answer) });
}

const MAX_SHOWN = 400;
/** On one line, without what would move a terminal's cursor. */
const line = (text: string): string => {
  const flat = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  return flat.length > MAX_SHOWN ? `${flat.slice(0, MAX_SHOWN)}… (${flat.length} characters)` : flat;
};
const shownRequest = (body: string): string => `POST /v1/verdicts ${line(body)}`;
function shown(answer: Answer): { received: string } {
  if (!('failed' in answer)) {
    return { received: `${answer.status} ${answer.contentType ?? 'without content-type'} ${line(answer.text)}`.trim() };
  }
  const words = { late: 'nothing whole in time', tooLarge: 'more than is read', broken: `a broken connection` };
  return { received: words[answer.failed] };
}
