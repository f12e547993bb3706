/** The real kubectl, with the verbs of every day, on the simulator. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startKubeSandbox, type KubeSandbox } from './sandbox.ts';
import { describeUnless } from '@kubervisor/testing/needs';

const run = promisify(execFile);

function findKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const WIDGETS = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: widgets, kind: Widget, shortNames: [wd] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      additionalPrinterColumns:
        - { name: Size, type: integer, jsonPath: .spec.size }
        - { name: Color, type: string, jsonPath: .spec.color, priority: 1 }
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [size]
              properties:
                size: { type: integer, minimum: 1, description: How large it is. }
                color: { type: string, default: red }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`;
const widget = (spec: string) => `
apiVersion: example.com/v1
kind: Widget
metadata: { name: w1 }
spec: { ${spec} }
`;
const FLEET = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: cart }
spec:
  replicas: 3
  selector: { matchLabels: { app: cart } }
  template:
    metadata: { labels: { app: cart, kubervisor/traffic: "yes" } }
    spec: { containers: [{ name: main, image: "registry.example/cart:1" }] }
---
apiVersion: v1
kind: Service
metadata: { name: cart }
spec: { selector: { app: cart, kubervisor/traffic: "yes" }, ports: [{ port: 80 }] }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: cart }
spec: { minAvailable: 2, selector: { matchLabels: { app: cart } } }
`;

describeUnless(findKubectl() ? [] : ['no kubectl on PATH'], 'kubectl on the simulator')(
  'kubectl on the simulator',
  () => {
    let sandbox: KubeSandbox;
    let folder: string;
    const environment = () => ({ ...process.env, KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder });
    const kubectl = async (...args: string[]): Promise<string> =>
      (await run('kubectl', args, { env: environment() })).stdout.trim();
    const refusal = (...args: string[]): Promise<string> =>
      run('kubectl', args, { env: environment() }).then(
        ({ stdout }) => Promise.reject(new Error(`was not refused: ${stdout}`)),
        (error: { stderr: string }) => error.stderr,
      );
    const apply = (yaml: string, ...more: string[]): string[] => {
      const file = join(folder, 'applied.yaml');
      writeFileSync(file, yaml);
      return ['apply', '-f', file, ...more];
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'kubervisor-kubectl-'));
      sandbox = await startKubeSandbox();
      writeFileSync(join(folder, 'kubeconfig'), sandbox.kubeconfig);
      await kubectl(...apply(WIDGETS));
      await kubectl('wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=10s');
      await kubectl(...apply(FLEET));
      await kubectl('rollout', 'status', 'deployment/cart', '--timeout=10s');
    }, 60_000);
    afterAll(async () => {
      await sandbox.stop();
      rmSync(folder, { recursive: true });
    });

    test('version and api-resources know what it is and what it serves', async () => {
      expect(await kubectl('version')).toContain('v1.37.0+kubervisor-sandbox');
      const resources = await kubectl('api-resources', '-o', 'name');
      expect(resources.split('\n')).toEqual(
        expect.arrayContaining(['pods', 'deployments.apps', 'poddisruptionbudgets.policy', 'widgets.example.com']),
      );
    });

    test('get shows pods, wide as well', async () => {
      const [header, ...rows] = (await kubectl('get', 'pods', '-o', 'wide')).split('\n');
      expect(header).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE /);
      expect(rows).toHaveLength(3);
      for (const row of rows)
        expect(row).toMatch(/^cart-\S+ +1\/1 +Running +0 +\d+s +10\.\d+\.\d+\.\d+ +sandbox-node-\d /);
    });

    test('get shows a Deployment, its ReplicaSet, the EndpointSlice and what may be disrupted', async () => {
      const all = await kubectl('get', 'deployments,replicasets,endpointslices,pdb', '--no-headers');
      expect(all).toMatch(/deployment.apps\/cart +3\/3 +3 +3 /);
      expect(all).toMatch(/replicaset.apps\/cart-\w+ +3 +3 +3 /);
      expect(all).toMatch(/endpointslice.discovery.k8s.io\/cart-\w+ +IPv4 +80 +10\./);
      expect(all).toMatch(/poddisruptionbudget.policy\/cart +2 +N\/A +1 /);
    });

    test('apply makes a custom resource, changes it, and changes nothing the third time', async () => {
      expect(await kubectl(...apply(widget('size: 3')))).toBe('widget.example.com/w1 created');
      expect(await kubectl(...apply(widget('size: 4, color: blue')))).toBe('widget.example.com/w1 configured');
      expect(await kubectl(...apply(widget('size: 4, color: blue')))).toBe('widget.example.com/w1 unchanged');
      expect(await kubectl('get', 'wd', 'w1', '-o', 'wide')).toMatch(/^NAME +SIZE +COLOR\nw1 +4 +blue$/);
      expect(await kubectl(...apply(widget('size: 5'), '--server-side', '--force-conflicts'))).toBe(
        'widget.example.com/w1 serverside-applied',
      );
      // A PodDisruptionBudget's selector is always sent anew: `configured`, on a real server as well.
      expect(await kubectl(...apply(FLEET))).toMatch(/^deployment.apps\/cart unchanged\nservice\/cart unchanged\n/);
    });

    test('apply is refused where the schema is broken or a field is unknown', async () => {
      await kubectl(...apply(widget('size: 3')));
      expect(await refusal(...apply(widget('size: 0')))).toContain('spec.size');
      expect(await refusal(...apply(widget('size: 3, sise: 4')))).toContain('unknown field "spec.sise"');
    });

    test('diff by a dry run of the server', async () => {
      await kubectl(...apply(widget('size: 3')));
      expect(await kubectl(...apply(widget('size: 8'), '--dry-run=server'))).toContain('configured (server dry run)');
      expect(await kubectl('get', 'wd', 'w1', '-o', 'jsonpath={.spec.size}')).toBe('3');
    });

    test('describe shows a pod with its events, and a custom resource', async () => {
      const [pod = ''] = (await kubectl('get', 'pods', '-o', 'name')).split('\n');
      const uid = await kubectl('get', pod, '-o', 'jsonpath={.metadata.uid}');
      await kubectl(
        ...apply(`
apiVersion: v1
kind: Event
metadata: { name: broken, namespace: default }
involvedObject: { apiVersion: v1, kind: Pod, namespace: default, name: ${pod.replace('pod/', '')}, uid: ${uid} }
reason: PodBroken
message: observed 2.4 s, limit 1 s
type: Warning
source: { component: kubervisor }
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:00Z"
count: 1
`),
      );
      const described = await kubectl('describe', pod);
      expect(described).toMatch(/Controlled By: +ReplicaSet\/cart-/);
      expect(described).toMatch(/Warning +PodBroken +.* +kubervisor +observed 2.4 s, limit 1 s/);
      expect(await kubectl('get', 'events')).toMatch(/Warning +PodBroken +pod\/cart-\S+ +observed/);
      await kubectl(...apply(widget('size: 3')));
      expect(await kubectl('describe', 'widget', 'w1')).toMatch(/Size: +3/);
    });

    test('explain reads the schema of a custom resource', async () => {
      expect(await kubectl('explain', 'widget.spec.size')).toContain('How large it is.');
    });

    test('label, annotate and patch change a pod; the endpoint leaves with the label', async () => {
      const [pod = ''] = (await kubectl('get', 'pods', '-o', 'name')).split('\n');
      const address = await kubectl('get', pod, '-o', 'jsonpath={.status.podIP}');
      const addresses = () => kubectl('get', 'endpointslices', '-o', 'jsonpath={.items[*].endpoints[*].addresses[0]}');
      expect(await addresses()).toContain(address);
      expect(await kubectl('label', pod, 'kubervisor/traffic=no', '--overwrite')).toContain('labeled');
      for (let left = 50; left > 0 && (await addresses()).split(' ').includes(address); left--);
      expect((await addresses()).split(' ')).not.toContain(address);
      expect(await kubectl('annotate', pod, 'note=mine')).toContain('annotated');
      await kubectl(
        'patch',
        pod,
        '--type=json',
        '-p',
        '[{"op":"test","path":"/metadata/annotations/note","value":"mine"},{"op":"remove","path":"/metadata/annotations/note"}]',
      );
      await kubectl('patch', pod, '--type=merge', '-p', '{"metadata":{"labels":{"kubervisor/traffic":"yes"}}}');
      await kubectl('patch', pod, '-p', '{"metadata":{"labels":{"strategic":"true"}}}');
      expect(await kubectl('get', 'pods', '-l', 'strategic=true,kubervisor/traffic=yes', '-o', 'name')).toBe(pod);
      expect(
        await refusal('patch', pod, '--type=json', '-p', '[{"op":"test","path":"/metadata/uid","value":"none"}]'),
      ).toContain('metadata/uid');
    });

    test('get -w follows', async () => {
      await kubectl(...apply(widget('size: 3')));
      const watch = spawn('kubectl', ['get', 'wd', 'w1', '-w', '--no-headers'], { env: environment() });
      const seen: string[] = [];
      for await (const line of createInterface({ input: watch.stdout })) {
        seen.push(line.replace(/\s+/g, ' ').trim());
        if (seen.length === 1) await kubectl('patch', 'wd', 'w1', '--type=merge', '-p', '{"spec":{"size":7}}');
        if (seen.length === 2) break;
      }
      watch.kill();
      expect(seen).toEqual(['w1 3', 'w1 7']);
    });

    test('scale and delete: a pod that is deleted is replaced', async () => {
      await kubectl('scale', 'deployment/cart', '--replicas=2');
      await kubectl('rollout', 'status', 'deployment/cart', '--timeout=10s');
      const [pod = ''] = (await kubectl('get', 'pods', '-o', 'name')).split('\n');
      expect(await kubectl('delete', pod)).toMatch(/^pod "cart-\S+" deleted/);
      await kubectl('rollout', 'status', 'deployment/cart', '--timeout=10s');
      const left = (await kubectl('get', 'pods', '-o', 'name')).split('\n');
      expect(left).toHaveLength(2);
      expect(left).not.toContain(pod);
      await kubectl(...apply(widget('size: 3')));
      expect(await kubectl('delete', 'widget', 'w1')).toMatch(/^widget.example.com "w1" deleted/);
      expect(await refusal('get', 'widget', 'w1')).toContain('NotFound');
    });

    test('drain empties a node within what the budget allows, and nothing comes back to it before uncordon', async () => {
      await kubectl('scale', 'deployment/cart', '--replicas=4');
      await kubectl('rollout', 'status', 'deployment/cart', '--timeout=10s');
      await kubectl('drain', 'sandbox-node-1', '--timeout=25s');
      const onNode = ['get', 'pods', '--field-selector', 'spec.nodeName=sandbox-node-1', '-o', 'name'];
      await kubectl('rollout', 'status', 'deployment/cart', '--timeout=10s');
      expect(await kubectl(...onNode)).toBe('');
      expect(await kubectl('get', 'node', 'sandbox-node-1', '--no-headers')).toContain('Ready,SchedulingDisabled');
      expect(await kubectl('uncordon', 'sandbox-node-1')).toContain('uncordoned');
    });
  },
);
