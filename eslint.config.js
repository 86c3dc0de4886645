import tseslint from 'typescript-eslint';

const pure = ['src/scheduler/**/*.ts', 'src/admission/**/*.ts', 'src/engine/model/**/*.ts'];
const takeAsArgument = 'is passed in: this folder is pure (docs/architecture.md)';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'assets/', 'testdata/'] },
  ...tseslint.configs.recommended,
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: pure,
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: `Time ${takeAsArgument}.` },
        { object: 'performance', property: 'now', message: `Time ${takeAsArgument}.` },
        { object: 'Math', property: 'random', message: `Chance ${takeAsArgument}.` },
      ],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'fetch', 'process'],
      'no-restricted-imports': [
        'error',
        { patterns: ['node:net', 'node:http*', 'node:timers*', 'node:fs*', 'undici'] },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'scripts/**/*.ts', 'bench/**/*.ts'],
    rules: { '@typescript-eslint/no-unused-expressions': 'off' },
  },
);
