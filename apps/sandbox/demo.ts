/** Plays the story: sets the stage, acts through the Kubernetes API, looks, and shows what it sees. */
import { setTimeout as delay } from 'node:timers/promises';
import { createApiClient, type ApiClient } from '@kubervisor/kube-sandbox/client';
import type { Cleanup } from './cleanup.ts';
import { REPLICAS, SERVICES } from './services.ts';
import { FAULT, KUBERVISOR_SERVICE, NAME, NAMESPACE, PATHS, SHOP } from './shop/manifests.ts';
import { createShopPods } from './shop/pods.ts';
import { startShoppers } from './shop/shoppers.ts';
import type { Services, Stage, Staging } from './stage.ts';
import { happenings, type Happening } from './story/happenings.ts';
import { createObserver } from './story/observe.ts';
import type { Scene } from './story/scene.ts';
import { advance, begin, castOf, STORY, type Act, type Cast, type Progress } from './story/story.ts';
import type { Presenter } from './view/presenter.ts';
import { reportOf, summaryOf, type Report } from './view/report.ts';

export interface DemoOptions {
  staging: Staging;
  presenter: Presenter;
  cleanup: Cleanup;
  /** Fired when a person or the system asks for the end. */
  signal: AbortSignal;
  /** After the story: leave everything running until the signal. */
  keep: boolean;
  /** Tell the story again, with other pods, until the signal: while it holds, or also where it did not, as somebody may have wanted to see. */
  repeat: 'no' | 'while it holds' | 'always';
}

/** What had been when a telling began. */
interface Account {
  requests: number;
  bad: number;
  seconds: number;
}

const LOOK_EVERY_MS = 200;
const SHOPPERS_PER_SECOND = 100;
const CRD_LIMIT_SECONDS = 20;
const KEPT_HAPPENINGS = 100;

/** Resolves with the first telling's report, or that of the first which did not hold. Throws where the stage could not be set. */
export async function playDemo({ staging, presenter, cleanup, signal, keep, repeat }: DemoOptions): Promise<Report> {
  const { say } = presenter;
  let stage: Stage | undefined = undefined as Stage | undefined;
  const shop = createShopPods(staging.pods.listen, (pods) =>
    stage?.scrape(pods.map(({ name, port }) => ({ address: `${staging.pods.host}:${port}`, labels: { pod: name } }))),
  );
  cleanup.add(() => shop.stop());
  stage = await staging.set({ cleanup, signal, say, address: (pod) => shop.start(pod.metadata.name) });
  const { beside } = stage;
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const client = createApiClient(stage.kubeconfig, { userAgent: 'kubervisor-demo' });
  cleanup.add(() => client.close());
  const shoppers = startShoppers({ perSecond: SHOPPERS_PER_SECOND, portOf: shop.portOf });
  cleanup.add(() => shoppers.stop());
  const observe = createObserver({ client, prometheusUrl: stage.prometheusUrl, shoppers, seconds });

  for (const { path, manifest } of SHOP) await apply(client, path, manifest);
  const starting = stage.services();
  // Awaited below; a failure before that must not be an unhandled one.
  starting.catch(() => undefined);
  say(`  services        ${SERVICES.map((service) => `${REPLICAS[service]} ${service}`).join(', ')}`);
  say(`\nThe shop's owner wrote this:\n\n${KUBERVISOR_SERVICE.replace(/^/gm, '  ')}`);
  const services = await starting;
  await applyOnceServed(client, services, signal);

  const told: Happening[] = [];
  let before: Scene | undefined;
  const look = async (): Promise<{ scene: Scene; fresh: Happening[] }> => {
    const scene = await observe();
    shop.reconcile(scene.pods);
    const fresh = before === undefined ? [] : happenings(before, scene);
    before = scene;
    told.push(...fresh);
    told.splice(0, told.length - KEPT_HAPPENINGS);
    return { scene, fresh };
  };
  const setFaults = (names: readonly string[], fault: string | null): Promise<unknown> =>
    Promise.all(
      names.map(async (name) => {
        const { code } = await client.request('PATCH', `${PATHS.pods}/${name}`, {
          body: { metadata: { annotations: { [FAULT]: fault } } },
          contentType: 'application/merge-patch+json',
        });
        // Who plays with kubectl beside it may have deleted the pod.
        if (code >= 300 && code !== 404) throw new Error(`the fault of pod ${name} could not be set: ${code}`);
      }),
    );
  const kubectl = [
    `kubectl beside it:  export KUBECONFIG=${beside.kubeconfigFile}`,
    `                    kubectl -n ${NAMESPACE} get kvs,pods,endpointslices -L kubervisor/traffic`,
  ];

  /** One telling. Ends early where an act fails, or at the signal. */
  const tell = async (round: number): Promise<{ played: Progress[]; reason: string | undefined }> => {
    const played: Progress[] = [];
    let reason: string | undefined;
    let cast: Cast | undefined;
    for (const [index, act] of STORY.entries()) {
      const first = await look();
      if (first.scene.pods.length > 0) cast ??= castOf(first.scene, round);
      if (cast !== undefined) await change(act, cast, setFaults);
      let progress = begin(act, first.scene.seconds);
      let { scene, fresh } = first;
      const showAct = () =>
        presenter.show(
          {
            scene,
            act: { act, place: index + 1, of: STORY.length, progress },
            happenings: told,
            hints: [...(keep ? kubectl : []), repeat !== 'no' ? 'Ctrl-C ends it' : 'Ctrl-C ends it early'],
          },
          fresh,
        );
      showAct();
      played.push(progress);
      while (progress.outcome === 'playing') {
        await delay(LOOK_EVERY_MS, undefined, { signal });
        ({ scene, fresh } = await look());
        // Until the first pod is there nobody can be cast; the first act needs nobody.
        cast ??= index === 0 || scene.pods.length === 0 ? undefined : castOf(scene, round);
        progress = advance(act, progress, scene, cast ?? { one: '', most: [] });
        played[index] = progress;
        // As it stood at the worst; while the fleet recovers its figures fall.
        if (act.fail !== undefined && scene.degraded?.reason === 'FleetAnomalous') reason = scene.degraded.message;
        showAct();
      }
      // The whole fleet is there only after the first act.
      if (index === 0) cast = castOf(scene, round);
      if (progress.outcome === 'failed') break;
    }
    return { played, reason };
  };

  const healAll = () => setFaults(before?.pods.map(({ name }) => name) ?? [], null);
  /** Of the telling that began there. */
  const account = (since: Account, played: Progress[], reason?: string): Report => {
    const { requests, bad } = shoppers.totals();
    const own = { requests: requests - since.requests, bad: bad - since.bad, since: since.seconds };
    return reportOf(STORY, played, { ...own, reason, seconds: seconds() });
  };
  let since: Account = { requests: 0, bad: 0, seconds: 0 };
  let report: Report | undefined;
  try {
    for (let round = 0; ; round += 1) {
      const { played, reason } = await tell(round);
      const latest = account(since, played, reason);
      since = { ...shoppers.totals(), seconds: seconds() };
      if (report === undefined || !latest.held) report = latest;
      if (!latest.held) for (const line of services.problems()) say(line);
      if (keep || repeat === 'no' || (repeat === 'while it holds' && !latest.held)) break;
      const again = 'It is told again, with other pods.';
      if (repeat === 'always') say(['', ...summaryOf(latest), again, ''].join('\n'));
      told.push({ seconds: seconds(), tone: 'good', text: `The story held. ${again}` });
      if (!latest.held) await healAll();
    }
    if (keep) {
      await healAll();
      for (;;) {
        const { scene, fresh } = await look();
        const hints = [...summaryOf(report), '', ...playground(beside, scene)];
        presenter.show({ scene, act: undefined, happenings: told, hints }, fresh);
        await delay(LOOK_EVERY_MS, undefined, { signal });
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  presenter.close();
  return report ?? account(since, []);
}

async function change(
  act: Act,
  cast: Cast,
  setFaults: (names: readonly string[], fault: string | null) => Promise<unknown>,
): Promise<void> {
  await setFaults(act.heal?.(cast) ?? [], null);
  await setFaults(act.fail?.(cast) ?? [], '500');
}

const apply = (client: ApiClient, path: string, manifest: string): Promise<unknown> =>
  client.call('PATCH', path, {
    query: { fieldManager: 'kubervisor-demo', force: true },
    contentType: 'application/apply-patch+yaml',
    body: manifest,
  });

/** The controller installs the CRD when it starts; until it is served the API answers 404. */
async function applyOnceServed(client: ApiClient, services: Services, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + 1000 * CRD_LIMIT_SECONDS;
  for (;;) {
    try {
      await apply(client, PATHS.kubervisorService, KUBERVISOR_SERVICE);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw error;
      if (performance.now() > limit)
        throw new Error(
          [`no controller has installed the definition within ${CRD_LIMIT_SECONDS} s`, ...services.problems()].join(
            '\n',
          ),
          { cause: error },
        );
    }
    await delay(100, undefined, { signal });
  }
}

function playground({ kubeconfigFile, elsewhere }: Stage['beside'], scene: Scene): string[] {
  const some = scene.pods[0]?.name ?? 'NAME';
  return [
    'All of it stays up until Ctrl-C. In another terminal:',
    `  export KUBECONFIG=${kubeconfigFile}`,
    `  kubectl -n ${NAMESPACE} get pods -L kubervisor/traffic --watch`,
    `  kubectl -n ${NAMESPACE} get kvs ${NAME} -o yaml`,
    `  kubectl -n ${NAMESPACE} annotate pod ${some} ${FAULT}=500`,
    `  kubectl -n ${NAMESPACE} annotate pod ${some} ${FAULT}-`,
    elsewhere,
  ];
}
