import tseslint from 'typescript-eslint';

/** Decisions are functions of their arguments: what they may not reach is listed here, for `libs/shared` and every `core/`. */
const pure = {
  files: ['libs/shared/**/*.ts', '**/core/**/*.ts'],
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-globals': [
      'error',
      ...[
        'process',
        'fetch',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'performance',
        'crypto',
        'Buffer',
        'console',
      ].map((name) => ({
        name,
        message: 'Decisions are pure: pass what you need as an argument; I/O belongs into shell/.',
      })),
    ],
    'no-restricted-syntax': [
      'error',
      {
        selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
        message: '`now` is an argument.',
      },
      { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: '`now` is an argument.' },
      {
        selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
        message: 'Randomness is an argument.',
      },
    ],
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          { regex: '^node:', message: 'Pure code imports nothing of node.' },
          {
            regex: '^@(kubernetes|nats-io)/|^fastify|^pino|^prom-client|^undici',
            message: 'Pure code knows no client.',
          },
          { regex: '^@kubervisor/(?!shared)', message: 'Pure code imports only libs/shared.' },
          { regex: '/shell/', message: 'core/ does not import shell/.' },
        ],
      },
    ],
  },
};

/** Imports run one way: services and apps → libs/runtime → libs/shared; no service imports another. */
const layers = [
  {
    files: ['libs/runtime/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^@kubervisor/(?!shared)', message: 'libs/runtime imports only libs/shared.' }] },
      ],
    },
  },
  {
    files: ['services/**/*.ts'],
    ignores: ['**/*.test.ts', '**/core/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@kubervisor/(?!shared|runtime)|services/',
              message: 'A service imports libs/shared and libs/runtime, never another service.',
            },
          ],
        },
      ],
    },
  },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.turbo/**', 'coverage/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: [] }, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        // Its runner waits for them.
        { allowForKnownSafeCalls: [{ from: 'package', name: 'test', package: 'node:test' }] },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-globals': ['error', { name: 'process', message: 'Only main.ts touches process.' }],
    },
  },
  {
    files: [
      '**/main.ts',
      '**/*.test.ts',
      'libs/testing/**/*.ts',
      'libs/runtime/main/**/*.ts',
      'e2e/**/*.ts',
      'bench/**/*.ts',
      'soak/**/*.ts',
      'scripts/**/*.ts',
      'apps/**/*.ts',
    ],
    rules: { 'no-restricted-globals': 'off' },
  },
  pure,
  ...layers,
);
