import { describe, expect, test } from '@jest/globals';
import { UsageError } from '@kubervisor/runtime/main/command';
import { readArguments } from './arguments.ts';

const read = (
  words: string,
  env: Record<string, string> = { KUBECONFIG: '/k' },
  files = ['/k', '/l', '/home/me/.kube/config'],
) => readArguments(words === '' ? [] : words.split(' '), env, (file) => files.includes(file));

test('nothing said: the whole cluster, for real', () => {
  expect(read('')).toEqual({
    namespaces: [],
    systemNamespace: undefined,
    lease: 'kubervisor-controller',
    kubeconfig: ['/k'],
    context: undefined,
    dryRun: false,
    force: false,
    yes: false,
    json: false,
    help: false,
  });
});
test('help is given also where there is no cluster', () => {
  expect(read('--help', {}, []).help).toBe(true);
});
test('namespaces may be many', () => {
  expect(read('--namespace a --namespace b --namespace a').namespaces).toEqual(['a', 'b']);
});
test.each([
  ['--namespace Shop', /--namespace "Shop": must be the name/],
  ['--system-namespace a/b', /--system-namespace "a\/b"/],
  ['--lease .', /--lease "\."/],
  ['--nonsense', /Unknown option '--nonsense'/],
  ['now', /positional/],
  ['--kubeconfig /none', /--kubeconfig \/none: there is no such file/],
])('%s is refused, and it says what is wrong', (words, message) => {
  expect(() => read(words)).toThrow(UsageError);
  expect(() => read(words)).toThrow(message);
});

describe('the kubeconfig is found as kubectl finds it', () => {
  test.each<[string, Record<string, string>, string[]]>([
    ['--kubeconfig /l', { KUBECONFIG: '/k' }, ['/l']],
    ['', { KUBECONFIG: '/k:/none:/l' }, ['/k', '/l']],
    ['', { HOME: '/home/me' }, ['/home/me/.kube/config']],
    ['', { HOME: '/nobody', KUBERNETES_SERVICE_HOST: '10.0.0.1' }, []],
  ])('%j with %j', (words, env, expected) => {
    expect(read(words, env).kubeconfig).toEqual(expected);
  });
  test('or nowhere: that is an error, not some cluster', () => {
    expect(() => read('', { HOME: '/nobody' })).toThrow(/--kubeconfig FILE or KUBECONFIG/);
    expect(() => read('', { KUBECONFIG: '/none', HOME: '/home/me' })).toThrow(/\/none/);
  });
});
