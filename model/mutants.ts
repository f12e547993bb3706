/**
 * Rules, each taken out of the code in one place: the model has to notice, or that it finds nothing would show nothing. `npm run model
 * -- --mutants` runs all of them.
 */
import { registerHooks } from 'node:module';

export interface Mutant {
  name: string;
  /** What is missing, in the words of the design. */
  without: string;
  /** End of the path of the file, what stands in it exactly once, and what stands there instead. */
  file: string;
  edits: readonly (readonly [find: string, replace: string])[];
  /** Violations that are the mutation itself; others have to follow from it. */
  tolerated?: readonly string[];
}

const BREAKS = 'breaker/core/decide-breaks.ts';
const RETURNS = 'activator/core/decide-activations.ts';
const KEEPER = 'controller/shell/round-keeper.ts';
const CLOCK = 'controller/core/round-clock.ts';
const MEMBERSHIP = 'controller/core/membership.ts';
const CODEC = 'shared/pods/codec.ts';
const ROUND = 'runtime/worker/round.ts';
const CLIENT = 'runtime/kubernetes/client.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'endless-claim',
    without: 'W3: the holder of a claim starts no write after 3 s',
    file: ROUND,
    edits: [['monotonic() + CLAIM_LIFE', 'monotonic() + 1e9']],
    tolerated: ['W3 late'],
  },
  {
    name: 'claim-not-waited-out',
    without: 'W1: 5 s after a claim without a fact',
    file: CLOCK,
    edits: [
      ['? claimedSince + CLAIM_EXPIRY', '? claimedSince'],
      ['open.seenAt + CLAIM_EXPIRY', 'open.seenAt'],
    ],
  },
  {
    name: 'refused-claim-not-waited-out',
    without: 'W3: the claim that a refused round found is waited out',
    file: CLOCK,
    edits: [['next = claimSeen(next, fact.claim.revision, now)', 'next = { ...next, revision: fact.claim.revision }']],
  },
  {
    name: 'new-leader-at-once',
    without: 'W3: a new leader waits until it knows of the claims that stand, or 5 s',
    file: KEEPER,
    edits: [['const strangeUntil = monotonic() + CLAIM_EXPIRY', 'const strangeUntil = -Infinity']],
  },
  {
    name: 'any-bucket',
    without: 'W3: a claim counts in the bucket alone that its message names',
    file: ROUND,
    edits: [['work.claimRevision, work.round, work.claimBucket)', 'work.claimRevision, work.round)']],
  },
  {
    name: 'bucket-at-once',
    without: 'W3: 5 s without work where the bucket of claims was made anew',
    file: KEEPER,
    edits: [['forgottenUntil = monotonic() + CLAIM_EXPIRY', 'forgottenUntil = -Infinity']],
  },
  {
    name: 'successor-at-once',
    without: 'W3: the worker of a resource that was deleted is waited out by the next of its name',
    file: KEEPER,
    edits: [['notBefore: monotonic() + CLAIM_EXPIRY }', 'notBefore: -Infinity }']],
  },
  {
    name: 'refused-claim-ignored',
    without: 'W3: a refused round is over',
    file: ROUND,
    edits: [["if (claim.outcome === 'refused')", 'if (false)']],
  },
  {
    name: 'never-given-up',
    without: 'W3: a round that was received too long ago is given up',
    file: ROUND,
    edits: [['monotonic() - receivedAt > patience', 'monotonic() - receivedAt > 1e9 + patience']],
  },
  {
    name: 'deaf-client',
    without: 'W3: the HTTP client looks at the deadline',
    file: CLIENT,
    edits: [['contentType,\n      deadline,', 'contentType,']],
  },
  {
    name: 'retrying-client',
    without: 'W3: no retry inside the HTTP client after the deadline',
    file: CLIENT,
    edits: [
      ['contentType,\n      deadline,', 'contentType,'],
      [
        'return await send();',
        'try { return await send(); } catch (error) { if ((error as ApiError).uncertain !== true) throw error; return await send(); }',
      ],
    ],
  },
  {
    name: 'no-settling',
    without: 'W3: the fact waits until a patch without an answer has taken effect or never will',
    file: 'breaker/shell/break-pods.ts',
    edits: [['await ports.wait(Math.max(0, settledAt(uncertain, deadline) - monotonic()));', '']],
  },
  {
    name: 'uncertain-is-undone',
    without: 'W4: a patch without an answer counts as a break',
    file: 'breaker/shell/attempt.ts',
    edits: [["attempt.result.result === 'patched' || isUncertain(attempt)", "attempt.result.result === 'patched'"]],
  },
  {
    name: 'unguarded',
    without: 'W4: every patch tests what it rests on',
    file: CODEC,
    edits: [['return [...guards, ...changes]', "return [...guards.filter(({ op }) => op !== 'test'), ...changes]"]],
  },
  {
    name: 'no-uid-test',
    without: 'W4: … the uid',
    file: CODEC,
    edits: [["{ op: 'test', path: '/metadata/uid', value: pod.uid },", '']],
  },
  {
    name: 'no-name-test',
    without: 'W4: … the name of the resource',
    file: CODEC,
    edits: [
      ["{ op: 'test', path: `/metadata/labels/${pointer(LABEL.name)}`, value: pod.labels[LABEL.name] ?? null },", ''],
    ],
  },
  {
    name: 'no-traffic-test',
    without: 'W4: … the present traffic label',
    file: CODEC,
    edits: [
      [
        "{ op: 'test', path: `/metadata/labels/${pointer(LABEL.traffic)}`, value: pod.labels[LABEL.traffic] ?? null },",
        '',
      ],
    ],
  },
  {
    name: 'stale-list',
    without: 'B5: a fresh list for each decision',
    file: 'runtime/worker/list-pods.ts',
    edits: [
      [
        'return await kubernetes.listPods(resource.namespace, selectorString(selector));',
        'const lists = ((globalThis as any).lists ??= new WeakMap());' +
          'const known = lists.get(kubernetes);' +
          'if (known !== undefined && performance.now() - known.at < 2000) { await known.again(); return known.pods; }' +
          'const found = await kubernetes.listPods(resource.namespace, selectorString(selector));' +
          'lists.set(kubernetes, { at: performance.now(), pods: found, again: () => kubernetes.listPods(resource.namespace, selectorString(selector)) });' +
          'return found;',
      ],
    ],
  },
  {
    name: 'breaks-not-counted',
    without: 'B3: breaks decided before count',
    file: BREAKS,
    edits: [['available--;', '']],
  },
  {
    name: 'floor-before-the-break',
    without: 'B2: the state after the break holds the floor',
    file: BREAKS,
    edits: [['if (available - 1 < floor)', 'if (available < floor)']],
  },
  {
    name: 'unready-broken',
    without: 'F3: an unready pod is not broken',
    file: BREAKS,
    // The grace period stands in for it: who is not Ready is not Ready for long enough.
    edits: [
      ["if (!pod.ready) return { reason: 'NotReady' };", ''],
      ['if (!isPastGrace(', 'if (pod.ready && !isPastGrace('],
    ],
  },
  {
    name: 'exempt-broken',
    without: 'an exempt pod is not broken',
    file: BREAKS,
    edits: [["if (exempt) return { reason: 'Exempt' };", '']],
  },
  {
    name: 'shared-broken',
    without: 'F5: a pod that another Service of ours selects is not broken',
    file: BREAKS,
    edits: [['if (sharer !== undefined)', 'if (false)']],
  },
  {
    name: 'two-on-a-service',
    without: 'F5: of two resources on one Service the older has it',
    file: 'controller/core/supervision.ts',
    edits: [['if (owner !== undefined) {', 'if (owner !== undefined && false) {']],
  },
  {
    name: 'active-without-key',
    without: 'A6: a Service without our key is not active',
    file: 'shared/policy/return.ts',
    edits: [["mode === 'enforce' && active ?", "mode === 'enforce' ?"]],
  },
  {
    name: 'lenient-mode',
    without: 'A6: the stricter of two modes',
    file: 'shared/crd/resolve.ts',
    edits: [['STRICTNESS[one] >= STRICTNESS[other]', 'STRICTNESS[one] < STRICTNESS[other]']],
  },
  {
    name: 'floor-not-repaired',
    without: 'B7: pods come back early under the floor',
    file: 'shared/policy/return.ts',
    edits: [['if (missing <= 0) continue;', 'continue;']],
  },
  {
    name: 'pauses-without-end',
    without: 'A4: at most maxPauseCount are paused',
    file: RETURNS,
    edits: [['paused < activator.maxPauseCount', 'true']],
  },
  {
    name: 'kills-at-once',
    without: 'A5: one kill at a time',
    file: RETURNS,
    edits: [
      [
        'let beingKilled = owned.find((pod) => isOut(pod) && pod.terminating)?.name;',
        'let beingKilled: string | undefined;',
      ],
    ],
  },
  {
    name: 'kill-under-floor',
    without: 'A5: nobody is killed under the floor',
    file: RETURNS,
    edits: [['if (counts.available < floor)', 'if (counts.available < floor && false)']],
  },
  {
    name: 'kill-without-owner',
    without: 'A5: what nothing replaces is not killed',
    file: RETURNS,
    edits: [["if (pod.owner === undefined) return { reason: 'NoOwner', isForGood: true };", '']],
  },
  {
    name: 'kill-without-conditions',
    without: 'A5: uid and resourceVersion are preconditions of a kill',
    file: CLIENT,
    edits: [['await send({ uid, resourceVersion });', 'await send({} as { uid: string; resourceVersion: string });']],
  },
  {
    name: 'kill-unseen',
    without: 'A5: the pod is read again before it is killed',
    file: 'activator/shell/attempt.ts',
    edits: [["return traffic === 'no' && isOurs", 'return isOurs']],
  },
  {
    name: 'unreadable-stays',
    without: 'A7: a no without a readable breakAt counts as broken now',
    file: RETURNS,
    edits: [['stamp.set(pod.uid, planned(', 'void (pod.uid, planned(']],
  },
  {
    name: 'refused-kill-by-two-clocks',
    without: 'A7: a refused kill is tried again whatever the clock of the activator says',
    file: 'controller/core/work.ts',
    edits: [['writeTime(nextAttempt <= from.now ? 0 : nextAttempt)', 'writeTime(nextAttempt)']],
  },
  {
    name: 'held-without-enforcement',
    without: 'F4: what does not enforce holds nobody out',
    file: MEMBERSHIP,
    edits: [["if (marks.traffic === 'no' && !enforces(", "if (marks.traffic === 'no' && false && !enforces("]],
  },
  {
    name: 'let-in-while-enforced',
    without: 'F4: what enforces does hold pods out',
    file: MEMBERSHIP,
    edits: [
      ["if (marks.traffic === 'no' && !enforces(", "if (marks.traffic === 'no' && (marks.retryCount > 1 || !enforces("],
      ['owner, marks.strategy)) {', 'owner, marks.strategy))) {'],
    ],
  },
  {
    name: 'one-look',
    without: 'F2: a resource is gone when two looks at the API missed it',
    file: 'controller/shell/membership.ts',
    edits: [['if (!(await look())) return false;', '']],
  },
  {
    name: 'no-look',
    without: 'F2: a resource that the cache lacks is looked for',
    file: 'controller/shell/membership.ts',
    edits: [['change.confirmMissing !== undefined &&', 'change.confirmMissing === "" &&']],
  },
  {
    name: 'orphans-stay',
    without: 'F2: who has no owner any more is released',
    file: MEMBERSHIP,
    edits: [
      [
        "if (owner === undefined) return { edit: EDITS.release(pod), reason: 'Orphaned', confirmMissing: marks.name };",
        'if (owner === undefined) return undefined;',
      ],
    ],
  },
  {
    name: 'unselected-stay',
    without: 'F2: who is selected no more is released',
    file: MEMBERSHIP,
    edits: [['if (!matches(owner)) return', 'if (false) return']],
  },
  {
    name: 'marks-stay',
    without: 'F2: a release takes our annotations away',
    file: CODEC,
    edits: [['[ANNOTATION.retryCount]: null,', '']],
  },
  {
    name: 'adoption-lets-in',
    without: 'F1: adoption never overwrites a no or a pause',
    file: CODEC,
    edits: [['...(marksOf(pod).traffic === undefined && {', '...(pod.name !== "" && {']],
  },
  {
    name: 'adoption-by-anyone',
    without: 'F1: a resource adopts whom its Service selects',
    file: MEMBERSHIP,
    edits: [['[...supervised.values()].find(matches)', '[...supervised.values()][0]']],
  },
  {
    name: 'late-leader',
    without: 'Leader: who cannot renew stops before the lease runs out',
    file: 'runtime/kubernetes/lease.ts',
    edits: [['now() - term.renewedAt >= times.renewDeadline) lose(', 'now() - term.renewedAt >= 1e9) lose(']],
  },
  {
    name: 'hasty-candidate',
    without: 'Leader: another waits for the end of the lease',
    file: 'runtime/kubernetes/lease.ts',
    edits: [['changedAt + leaseDurationSeconds * 1000', 'changedAt + leaseDurationSeconds * 200']],
  },
];

/** From now on the file is loaded with its rule taken out. To be called before anything loads it. */
export function mutate({ name, file, edits }: Mutant): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/${file}`)) return loaded;
      let source = String(loaded.source);
      if (loaded.source instanceof Uint8Array) source = new TextDecoder().decode(loaded.source);
      for (const [find, replace] of edits) {
        const times = source.split(find).length - 1;
        if (times !== 1)
          throw new Error(`mutant ${name}: ${file} holds ${JSON.stringify(find)} ${times} times, not once`);
        source = source.replace(find, () => replace);
      }
      return { ...loaded, source };
    },
  });
}
