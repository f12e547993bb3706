/**
 * Three kinds of test, told apart by the file's name:
 *   NAME.test.ts              pure or in-process, beside the file it tests
 *   NAME.integration.test.ts  needs a real nats-server or Prometheus (see libs/testing)
 *   NAME.kubernetes.test.ts   talks to a Kubernetes API server: the embedded simulator, or the real one that
 *                             TEST_KUBECONFIG or KUBEBUILDER_ASSETS names
 * Sources run as they are: the `source` export condition leads from one workspace package into the other's .ts files.
 */
const common = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons', 'import', 'default'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
  modulePathIgnorePatterns: ['/dist/'],
};
const kinds = ['\\.integration\\.test\\.ts$', '\\.kubernetes\\.test\\.ts$'];

export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testRegex: '\\.test\\.ts$',
      testPathIgnorePatterns: ['/node_modules/', ...kinds],
    },
    { ...common, displayName: 'integration', testRegex: kinds[0] },
    { ...common, displayName: 'kubernetes', testRegex: kinds[1] },
  ],
  globalSetup: '<rootDir>/libs/testing/jest-run.ts',
  // Most of their time they wait: for a period, a lease, a time-out.
  maxWorkers: 4,
  testTimeout: 30_000,
};
