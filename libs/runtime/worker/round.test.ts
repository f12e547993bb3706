import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { encodeEvent } from '@kubervisor/shared/events/envelope';
import { workActivate, type WorkActivate } from '@kubervisor/shared/events/work-activate';
import { CLAIM_LIFE, GIVE_UP_SLACK } from '@kubervisor/shared/policy/claim';
import { spec } from '@kubervisor/shared/crd/kubervisor-service';
import { PayloadTooLarge, PublishFailed } from '../nats/errors.ts';
import { aMessage, counted, FakeBus, FakeClock, fakePorts, NOW } from './fakes.fixture.ts';
import { roundHandler, type Acted, type ClaimedContext, type RoundShape } from './round.ts';

const TIMEOUT = 5000;
const work: WorkActivate = {
  round: 'r-1',
  resource: { namespace: 'shop', name: 'cart', uid: 'kvs-1', generation: 1 },
  spec: spec.parse({ service: 'cart', breakers: [{ name: 'slow', customService: 'judge' }] }),
  selector: { app: 'cart' },
  active: true,
  claimRevision: 0,
  simulated: [],
  refusedKills: [],
};
const textOf = (data: WorkActivate): string =>
  JSON.stringify(encodeEvent(workActivate, 'shop/cart', data, { id: '1', source: '/test', time: NOW - 500 }));
const text = textOf(work);

let bus: FakeBus;
let clock: FakeClock;
let ports: ReturnType<typeof fakePorts>;
let gather: jest.Mock<() => Promise<string>>;
let act: jest.Mock<(work: WorkActivate, gathered: string, context: ClaimedContext) => Promise<Acted<string>>>;

beforeEach(() => {
  bus = new FakeBus();
  clock = new FakeClock();
  ports = fakePorts(bus, clock);
  gather = jest.fn(async () => 'gathered');
  act = jest.fn(async () => ({ done: 'done', errors: [] as string[] }));
});

const shape = (): RoundShape<WorkActivate, ActivationCompleted, string, string> => ({
  kind: 'activate',
  work: workActivate,
  fact: activationCompleted,
  longestTimeout: () => TIMEOUT,
  gather,
  act,
  report: ({ round, resource }, ending, { gathered, done }) => ({
    ...{ round, resource, actions: [], withheld: [], ...ending },
    errors: [...ending.errors, ...(gathered === undefined ? [] : [gathered]), ...(done === undefined ? [] : [done])],
  }),
  compact: (fact) => ({ ...fact, errors: ['too large'] }),
});

async function play(message = aMessage(text)) {
  await roundHandler(shape(), ports)(message);
  const [fact] = bus.data<ActivationCompleted>('kubervisor.round.activate.shop.cart');
  return { fact, settled: message.settled };
}

describe('a round', () => {
  test('W3: claims after it gathered and before it acts, tells, and only then acknowledges', async () => {
    const steps: string[] = [];
    gather.mockImplementation(async () => (steps.push('gather'), 'gathered'));
    bus.onClaim = () => void steps.push('claim');
    act.mockImplementation(async () => (steps.push('act'), { done: 'done', errors: [] }));
    await play(aMessage(text, { onSettled: () => void steps.push(`settled after ${bus.published.length} fact`) }));
    expect(steps).toEqual(['gather', 'claim', 'act', 'settled after 1 fact']);
    expect(bus.published[0]).toMatchObject({
      messageId: 'r-1.activate.claimed',
      event: {
        source: '/kubervisor/test/one',
        data: { outcome: 'completed', claim: { outcome: 'claimed', revision: 1 }, errors: ['gathered', 'done'] },
      },
    });
  });

  test('W3: the claim counts from before it is sent', async () => {
    clock.time = 1700;
    bus.onClaim = () => void (clock.time += 1500);
    await play();
    expect(act.mock.calls[0]?.[2].deadline).toEqual({ at: 1700 + CLAIM_LIFE });
  });

  test('W3: refused, it is over, and its fact names the revision found and nothing else', async () => {
    bus.revisions.set('kvs-1.activate', 41);
    const { fact, settled } = await play();
    expect(act).not.toHaveBeenCalled();
    expect(fact).toMatchObject({ outcome: 'refused', claim: { outcome: 'refused', revision: 41 }, errors: [] });
    expect(settled).toEqual(['ack']);
  });

  test.each([
    ['in the bucket that the message names it is claimed', 'bucket', { outcome: 'completed', claim: 'claimed' }],
    ['in another it is refused, with the revision of its own claim', 'gone', { outcome: 'refused', claim: 'refused' }],
  ])('W3: %s, and its fact names that bucket', async (_, claimBucket, { outcome, claim }) => {
    const { fact, settled } = await play(aMessage(textOf({ ...work, claimBucket })));
    expect(fact).toMatchObject({ outcome, claim: { outcome: claim, revision: 1, bucket: claimBucket } });
    expect(act).toHaveBeenCalledTimes(outcome === 'completed' ? 1 : 0);
    expect(settled).toEqual(['ack']);
  });

  test('W3: a message that names no bucket claims in any, as leaders of before mean it', async () => {
    expect((await play()).fact?.claim).toEqual({ outcome: 'claimed', revision: 1 });
  });

  test('W3: of two workers with one message one acts', async () => {
    await Promise.all([play(), play()]);
    expect(act).toHaveBeenCalledTimes(1);
    const facts = bus.data<ActivationCompleted>('kubervisor.round.');
    expect(facts.map(({ outcome }) => outcome).sort()).toEqual(['completed', 'refused']);
    expect(new Set(bus.published.map(({ messageId }) => messageId)).size).toBe(2);
  });

  test('W7: without an answer to the claim it does nothing, and says so', async () => {
    bus.onClaim = () => {
      throw new PublishFailed('not connected to NATS');
    };
    const { fact, settled } = await play();
    expect(act).not.toHaveBeenCalled();
    expect(fact).toMatchObject({
      outcome: 'failed',
      claim: { outcome: 'notTried', revision: 0 },
      errors: ['PublishFailed: not connected to NATS'],
    });
    expect(settled).toEqual(['ack']);
  });

  test('W3: it gives up what it received longer ago than the longest time-out and the slack', async () => {
    const limit = TIMEOUT + GIVE_UP_SLACK;
    gather.mockImplementation(async () => ((clock.time += limit), 'gathered'));
    expect((await play()).fact?.outcome).toBe('completed');

    bus = new FakeBus();
    ports = fakePorts(bus, clock);
    gather.mockImplementation(async () => ((clock.time += limit + 1), 'gathered'));
    const { fact, settled } = await play(aMessage(text, { receivedAt: clock.time }));
    expect(act).toHaveBeenCalledTimes(1);
    expect(fact).toMatchObject({ outcome: 'givenUp', claim: { outcome: 'notTried' }, errors: [] });
    expect(bus.revisions.size).toBe(0);
    expect(settled).toEqual(['ack']);
  });

  test('W3: frozen before it even began, it asks nobody', async () => {
    clock.time += TIMEOUT + GIVE_UP_SLACK + 1;
    expect((await play()).fact?.outcome).toBe('givenUp');
    expect(gather).not.toHaveBeenCalled();
  });

  test.each(['gather', 'act'])('an error in %s ends it as failed, told and acknowledged', async (where) => {
    (where === 'gather' ? gather : act).mockImplementation(async () => {
      throw new Error('broken\nAuthorization: Bearer s3cret');
    });
    const { fact, settled } = await play();
    expect(fact).toMatchObject({ outcome: 'failed', errors: ['Error: broken'] });
    expect(fact?.claim.outcome).toBe(where === 'gather' ? 'notTried' : 'claimed');
    expect(settled).toEqual(['ack']);
  });

  test('what it could not know makes it failed, with what it found', async () => {
    act.mockImplementation(async () => ({ done: 'nothing', failed: true, errors: ['no list'] }));
    expect((await play()).fact).toMatchObject({ outcome: 'failed', errors: ['no list', 'gathered', 'nothing'] });
  });

  test('W5: what does not parse is terminated and counted, and nothing is done or told', async () => {
    for (const poison of ['{', '{}', text.replace('work.activate', 'work.evaluate'), text.replace('"shop"', '7')]) {
      expect((await play(aMessage(poison))).settled).toEqual(['term']);
    }
    expect(gather).not.toHaveBeenCalled();
    expect(bus.published).toEqual([]);
    expect(await counted(ports.registry, 'kubervisor_poison_messages_total{kind="activate"}')).toBe(4);
  });

  test('W5: where its fact cannot be published it is acknowledged all the same, and counted', async () => {
    bus.failing = { subject: 'kubervisor.round.', error: new PublishFailed('away') };
    expect((await play()).settled).toEqual(['ack']);
    expect(await counted(ports.registry, 'kubervisor_untold_rounds_total{kind="activate"}')).toBe(1);
    expect(await counted(ports.registry, 'kubervisor_rounds_total{kind="activate",outcome="completed"}')).toBe(1);
  });

  test('a fact that is too large is told without its lists', async () => {
    const publish = bus.publish;
    let sent = 0;
    const small: FakeBus['publish'] = async (...event) => {
      if (++sent === 1) throw new PayloadTooLarge(2_000_000, 1_000_000);
      await publish(...event);
    };
    Object.assign(bus, { publish: small });
    const { fact, settled } = await play();
    expect(fact).toMatchObject({ outcome: 'completed', errors: ['too large'] });
    expect(settled).toEqual(['ack']);
  });
});
