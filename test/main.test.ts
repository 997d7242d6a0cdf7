import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerModule, ServerStart } from '../src/cli/run.ts';
import { run } from '../src/cli/run.ts';
import type { Problem } from '../src/config/problem.ts';
import { OUTRIGGER } from './support/proxy-process.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'main-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

/** Runs the command line with a server that only takes notes. */
async function runWith(argv: readonly string[], problems: readonly Problem[] = []) {
  let out = '';
  let errors = '';
  const started: ServerStart[] = [];
  const server: ServerModule = {
    validateConfig: async () => problems,
    startServer: async (start) => {
      started.push(start);
      return problems;
    },
  };
  const status = await run(argv, async () => server, {
    out: (text) => (out += text),
    error: (text) => (errors += text),
  });
  return { status, out, errors: errors.split('\n').slice(0, -1), started };
}

const unsupported: Problem = { severity: 'unsupported', path: 'node.id', message: 'is not implemented' };

describe('--mode validate', () => {
  test('a good one', async () => {
    const path = file('good.yaml', 'node: {id: a}\n');
    const { status, out, errors } = await runWith(['-c', path, '--mode', 'validate']);
    expect({ status, out, errors }).toEqual({ status: 0, out: `configuration '${path}' OK\n`, errors: [] });
  });

  test('what is not implemented is named, and refused only if asked to', async () => {
    const path = file('good.yaml', 'node: {id: a}\n');
    const line = `${path}:1:8: unsupported: node.id: is not implemented`;
    const lenient = await runWith(['-c', path, '--mode', 'validate'], [unsupported, unsupported]);
    expect(lenient).toMatchObject({ status: 0, errors: [line] });
    const strict = await runWith(['-c', path, '--mode', 'validate', '--strict'], [unsupported]);
    expect(strict).toMatchObject({ status: 1, out: '', errors: [line, `configuration '${path}' has 1 error`] });
  });

  test('what the loader finds and what the builders find, in the order of the file', async () => {
    const path = file('bad.yaml', 'node: {id: a}\nadmin: {adress: 1}\nstatic_resources: {clusters: [{}]}\nnope: 1\n');
    const built: Problem[] = [
      { severity: 'error', path: 'static_resources', message: 'is empty' },
      // A consequence of what could not be read.
      { severity: 'error', path: 'admin.adress.port', message: 'is missing' },
    ];
    const { status, errors } = await runWith(['-c', path, '--mode', 'validate'], built);
    expect(status).toBe(1);
    expect(errors.map((line) => line.replace(path, '').replace(/ \(did.*/, ''))).toEqual([
      ':2:9: admin.adress: unknown field of envoy.config.bootstrap.v3.Admin',
      ':3:31: static_resources.clusters[0].name: value length must be at least 1 characters',
      ':4:1: nope: unknown field of envoy.config.bootstrap.v3.Bootstrap',
      `configuration '${path}' has 3 errors`.replace(path, ''),
    ]);
  });

  test('one that cannot be read', async () => {
    const path = file('broken.yaml', 'a: [\n');
    const { status, errors } = await runWith(['-c', path, '--mode', 'validate'], [unsupported]);
    expect(status).toBe(1);
    expect(errors).toHaveLength(2);
  });
});

describe('serving', () => {
  test('hands over the options and the bootstrap', async () => {
    const { status, started } = await runWith(['--config-yaml', 'node: {id: a}', '--concurrency', '0', '-l', 'off']);
    expect(status).toBeUndefined();
    expect(started).toHaveLength(1);
    expect(started[0]!.options.concurrency).toBe(0);
    expect(started[0]!.loaded.bootstrap.node?.id).toBe('a');
  });

  test('starts nothing with a bad bootstrap', async () => {
    const { status, started, errors } = await runWith(['--config-yaml', 'nope: 1']);
    expect({ status, started: started.length }).toEqual({ status: 1, started: 0 });
    expect(errors[0]).toContain('--config-yaml:1:1: nope: unknown field');
  });

  test('ends with what the builders refuse', async () => {
    const problem: Problem = { severity: 'error', path: 'node', message: 'is odd' };
    const { status, errors } = await runWith(['--config-yaml', 'node: {id: a}'], [problem]);
    expect(status).toBe(1);
    expect(errors).toEqual(['--config-yaml:1:1: node: is odd', "configuration '' has 1 error"]);
  });

  test('a failing start is one line', async () => {
    let errors = '';
    const server: ServerModule = {
      validateConfig: async () => [],
      startServer: () => Promise.reject(new Error('the port is in use')),
    };
    const terminal = { out: () => undefined, error: (text: string) => (errors += text) };
    expect(await run(['--config-yaml', 'node: {id: a}'], async () => server, terminal)).toBe(1);
    expect(errors).toBe('outrigger: the port is in use\n');
  });

  test('the log goes by the flags, then by the bootstrap', async () => {
    const log = join(dir, 'a.log');
    const yaml = 'application_log_config: {log_format: {json_format: {m: "%j"}}}\nwatchdog: {}';
    await runWith(['--config-yaml', yaml, '--log-path', log]);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as { m: string }).map(({ m }) => m)).toEqual([
      "Deprecated field: 'envoy.config.bootstrap.v3.Bootstrap.watchdog' at watchdog",
      '--config-yaml:2:1: unsupported: watchdog: is not implemented',
    ]);
  });

  test.each([
    ['application_log_config: {log_format: {json_format: {m: "%v"}}}', [], '%v is not available in JSON'],
    ['application_log_config: {log_format: {text_format: "%v"}}', ['--log-format', '%v'], 'together with --log-format'],
  ])('refuses %s', async (yaml, argv, message) => {
    const { status, errors } = await runWith(['--config-yaml', yaml, ...argv]);
    expect(status).toBe(1);
    expect(errors[0]).toContain(message);
  });
});

describe('answers', () => {
  test('mistakes in the flags', async () => {
    expect(await runWith(['--concurency', '2'])).toMatchObject({
      status: 1,
      errors: [
        "outrigger: unknown flag '--concurency' (did you mean '--concurrency'?)",
        'outrigger: --help shows the flags',
      ],
    });
  });

  test('a log that cannot be opened', async () => {
    const { status, errors } = await runWith(['--log-path', join(dir, 'no/such/folder/log')]);
    expect(status).toBe(1);
    expect(errors[0]).toContain('outrigger: --log-path: ');
  });

  test('--version has what tools parse', async () => {
    const { status, out } = await runWith(['--version']);
    expect(status).toBe(0);
    expect(out).toMatch(/ {2}version: [0-9a-f]{40}\/\d+\.\d+\.\d+\/Clean\/RELEASE\/\w+/);
  });
});

describe('bin/outrigger', () => {
  const execute = promisify(execFile);

  /** The launcher in a package of its own, with a main of one line. */
  function installedPackage(main = ''): string {
    const root = mkdtempSync(join(dir, 'package-'));
    mkdirSync(join(root, 'bin'));
    mkdirSync(join(root, 'dist/api/generated'), { recursive: true });
    copyFileSync(OUTRIGGER, join(root, 'bin/outrigger'));
    writeFileSync(join(root, 'dist/main.js'), main);
    writeFileSync(join(root, 'dist/api/generated/message-index.json'), '{}');
    return root;
  }

  test('runs through links, by relative and absolute names, with its arguments untouched', async () => {
    const link = join(dir, 'envoy');
    symlinkSync(OUTRIGGER, link);
    symlinkSync('envoy', join(dir, 'again'));
    for (const [program, cwd] of [
      [OUTRIGGER, dir],
      [join(dir, 'again'), '/'],
      ['./envoy', dir],
    ] as const)
      expect((await execute(program, ['--version'], { cwd })).stdout).toContain('version: ');
    const failed = await execute(link, ['a b', '$x', '*']).catch((error: { stderr: string }) => error);
    expect(failed.stderr.split('\n').slice(0, 3)).toEqual([
      "outrigger: unexpected argument 'a b'",
      "outrigger: unexpected argument '$x'",
      "outrigger: unexpected argument '*'",
    ]);
  });

  test('keeps the young generation of the main thread small, and lets that of a worker grow', async () => {
    const probe = file(
      'young-generation.mjs',
      `import { isMainThread } from 'node:worker_threads';
       import { getHeapSpaceStatistics } from 'node:v8';
       const size = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
       const recent = [];
       let most = 0;
       for (let i = 0; i < 200_000; i++) {
         recent[i % 2_000] = new Array(64).fill(i);
         if (i % 2_000 === 0) most = Math.max(most, size());
       }
       console.log(isMainThread ? 'main' : 'worker', Math.ceil(most / 2 ** 20));`,
    );
    const child = spawn(OUTRIGGER, ['-c', file('empty.yaml', '{}'), '--concurrency', '1', '-l', 'off'], {
      env: { ...process.env, OUTRIGGER_NODE_OPTIONS: `--import=${probe}` },
    });
    let out = '';
    for await (const chunk of child.stdout) if ((out += String(chunk)).includes('worker')) break;
    child.kill();
    const most = Object.fromEntries(out.split('\n').map((line) => line.split(' '))) as Record<string, string>;
    expect(Number(most['main'])).toBeLessThanOrEqual(6);
    expect(Number(most['worker'])).toBeGreaterThan(10);
  });

  test('in an installed package it runs the compiled code; the started pid is the proxy', async () => {
    const root = installedPackage('console.log(process.pid, ...process.argv.slice(2))');
    const environment = { ...process.env, OUTRIGGER_NODE: process.execPath };
    const child = spawn(join(root, 'bin/outrigger'), ['-c', 'x y'], { env: environment });
    let out = '';
    child.stdout.on('data', (chunk) => (out += String(chunk)));
    await once(child, 'close');
    expect(out).toBe(`${child.pid} -c x y\n`);
  });

  test.each([
    ['20.1.0', ' (found 20.1.0)'],
    ['22.18.9', ' (found 22.18.9)'],
    [undefined, ''],
  ])('with Node.js %s it says in one line what to do', async (version, found) => {
    const root = installedPackage();
    const path = join(root, 'path');
    mkdirSync(path);
    if (version !== undefined) writeFileSync(join(path, 'node'), `#!/bin/sh\necho v${version}\n`, { mode: 0o755 });
    const failed = await execute('/bin/sh', [join(root, 'bin/outrigger')], { env: { PATH: path } }).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed).toMatchObject({
      code: 1,
      stderr: `outrigger: needs Node.js 22.19 or newer${found}: install it from https://nodejs.org, or name one in OUTRIGGER_NODE\n`,
    });
  });
});
