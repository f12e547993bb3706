/**
 * What a plug-in owes by contract v1, as the conformance check asks it: what must hold, and what to do where it does not. The page
 * docs/detectors/conformance.md is made of it. `must`: Kubervisor would not understand the plug-in, would read something else than was
 * meant, or it would fail on an ordinary day; `should`: Kubervisor copes, but somebody will wonder.
 */
import {
  MAX_ANSWER_BYTES,
  MAX_INFO_LENGTH,
  MAX_INFO_MILLISECONDS,
  MAX_PATTERN_LENGTH,
  DETECTOR_API_VERSION,
} from '@kubervisor/shared/detection/contract';

export interface Obligation {
  level: 'must' | 'should';
  says: string;
  todo: string;
}

/** Of the question about many pods: a fleet of the size that Kubervisor promises to serve. */
export const LARGE_FLEET = 5000;

/** In the order in which they are checked. */
export const OBLIGATIONS = {
  reachable: {
    level: 'must',
    says: 'It takes HTTP connections at the URL.',
    todo: 'Start it, see on which address and port it listens (0.0.0.0 in a container, not 127.0.0.1), and give the URL without /v1/verdicts.',
  },
  health: {
    level: 'must',
    says: 'GET /healthz answers 200 while the process lives.',
    todo: 'Answer GET /healthz with 200 and any body, without asking anybody else: the probes of its Deployment rest on it.',
  },
  info: {
    level: 'must',
    says: `GET /v1/info answers 200 within ${MAX_INFO_MILLISECONDS / 1000} s, as application/json of at most ${MAX_INFO_LENGTH / 1024} KiB.`,
    todo: 'Answer GET /v1/info from memory. Without it Kubervisor asks for verdicts all the same, but cannot tell a mistake in the parameters of a resource.',
  },
  'info-shape': {
    level: 'must',
    says: 'GET /v1/info answers { name, version, parameters }: two strings and a JSON Schema as an object.',
    todo: 'Answer {"name": "…", "version": "…", "parameters": {"type": "object", …}}, the name of at most 128 characters, the version of at most 64.',
  },
  'info-schema': {
    level: 'must',
    says: `\`parameters\` of /v1/info is a JSON Schema: 2020-12, or draft-04 to 07 where \`$schema\` says so. It refers to nothing outside itself, its patterns have at most ${MAX_PATTERN_LENGTH} characters, and it is checked in milliseconds.`,
    todo: 'Check the schema with a validator, put what it refers to below $defs, and take out regular expressions that backtrack for ever, such as ^(a+)+$.',
  },
  status: {
    level: 'must',
    says: 'POST /v1/verdicts answers 2xx itself: redirects are not followed.',
    todo: 'See the log of the plug-in for this request. Answer at the path itself, also where the URL has no slash at its end.',
  },
  'in-time': {
    level: 'must',
    says: 'The whole answer is there within `timeoutMilliseconds`. What comes later is thrown away.',
    todo: 'Give whatever it waits for less time than timeoutMilliseconds, and answer with what it has: pods without a verdict are inconclusive.',
  },
  size: {
    level: 'must',
    says: `The answer has at most ${MAX_ANSWER_BYTES / 1024 / 1024} MiB.`,
    todo: 'Answer verdicts alone: a reason of one line a pod, no samples, nothing that the contract does not name.',
  },
  'content-type': {
    level: 'must',
    says: 'The answer says that it is application/json.',
    todo: 'Send the header content-type: application/json.',
  },
  shape: {
    level: 'must',
    says: 'The answer is { verdicts: [{ pod, uid?, outcome, score?, reason?, observed?, limit? }] } in JSON, with fields as in openapi.json.',
    todo: 'Mend the field that is named. Leave out what is not known: null is no value, and JSON has no NaN and no Infinity.',
  },
  'asked-pods': {
    level: 'must',
    says: 'Verdicts are about pods that were asked about, by `pod` = the name that was sent.',
    todo: 'Answer for the pods of the request alone. Others are out of traffic, too young, or of somebody else; Kubervisor drops such verdicts and shows their number (notAsked).',
  },
  uid: {
    level: 'must',
    says: 'Where a verdict has a `uid`, it is the one that was sent for the pod.',
    todo: 'Copy the uid of the request. Another one tells of an earlier pod of the same name, and the verdict is dropped (otherUid).',
  },
  'one-verdict': {
    level: 'must',
    says: 'A pod has at most one verdict.',
    todo: 'Decide in the plug-in which one holds. Of several Kubervisor takes none: the pod is inconclusive (duplicateVerdict).',
  },
  'one-line': {
    level: 'should',
    says: '`reason` is one line for people, without control characters.',
    todo: 'Take out line breaks and colours: the reason is written to the pod and shown on terminals. Kubervisor makes blanks of them.',
  },
  'asked-again': {
    level: 'must',
    says: 'The same question asked again has an answer of the same kind.',
    todo: 'Keep no state by evaluationId: where a connection breaks the same evaluation is asked twice.',
  },
  'fewest-fields': {
    level: 'must',
    says: 'It answers where pods have nothing but `name` and `uid`.',
    todo: 'Treat ip, node, revision and readySince as optional. A pod that cannot be judged without them is inconclusive.',
  },
  'unknown-fields': {
    level: 'must',
    says: 'It answers where the request has fields that it does not know.',
    todo: 'Ignore unknown fields of the request, of service and of pods: the contract grows by them. (Of parameters it may refuse them.)',
  },
  'one-pod': {
    level: 'must',
    says: 'It answers for a fleet of one pod.',
    todo: 'Do not divide by the number of the other pods, nor take the deviation of one value.',
  },
  'large-fleet': {
    level: 'must',
    says: `It answers for a fleet of ${LARGE_FLEET} pods.`,
    todo: 'Raise the limit of the request body (many frameworks stop at 100 KiB or 1 MiB), and ask for many pods at once rather than one after the other.',
  },
  'at-once': {
    level: 'must',
    says: 'Questions about several fleets at once have each their own answer.',
    todo: 'Keep what belongs to a request out of global variables, and let requests run beside each other.',
  },
  'refuses-nonsense': {
    level: 'must',
    says: 'A request that is not JSON is not answered with 2xx.',
    todo: 'Answer 400. Verdicts on a question that was not understood are about nobody.',
  },
  'refuses-other-shape': {
    level: 'must',
    says: 'A request without `pods` is not answered with 2xx.',
    todo: 'Check the request against openapi.json and answer 400.',
  },
  'refuses-other-version': {
    level: 'must',
    says: `A request of another \`apiVersion\` than ${DETECTOR_API_VERSION} is not answered with 2xx.`,
    todo: `Compare apiVersion with "${DETECTOR_API_VERSION}" and answer 400 where it differs: the fields may mean something else there.`,
  },
  'refuses-parameters': {
    level: 'should',
    says: 'Parameters that its own schema refuses are not answered with 2xx.',
    todo: 'Check the parameters against the schema and answer 400. Kubervisor checks them too, but not where /v1/info could not be read.',
  },
  'still-answers': {
    level: 'must',
    says: 'After all of that it answers as before.',
    todo: 'See its log: a request that was refused must not end the process nor leave something behind.',
  },
} as const satisfies Record<string, Obligation>;

export type ObligationName = keyof typeof OBLIGATIONS;
export const OBLIGATION_NAMES = Object.keys(OBLIGATIONS) as ObligationName[];

/** The page docs/detectors/conformance.md. */
export function conformancePage(): string {
  const row = ([name, { level, says, todo }]: [string, Obligation]) => `| \`${name}\` | ${level} | ${says} | ${todo} |`;
  return `<!-- Generated from libs/detector-kit by npm run generate; do not edit. -->

# What a plug-in owes

\`npx @kubervisor/detector-kit check URL\` asks these of a running plug-in, in this order, and ends with 0 where all that **must** be holds. How to use it:
[write your own](write-your-own.md). The contract itself: [plug-ins](plugins.md).

| obligation | level | what holds | if it does not |
| --- | --- | --- | --- |
${Object.entries(OBLIGATIONS).map(row).join('\n')}
`;
}
