import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { findTool } from '../support/tools.ts';

/**
 * Connections that the kernel redirects (REDIRECT) or takes in for others (TPROXY), in network namespaces of the test's
 * own: nothing is sent outside of them.
 */
const ip = findTool('ip');
const iptables = findTool('iptables');

/** Namespaces need root, and a kernel that lets us. */
function canRun(): boolean {
  if (ip === undefined || iptables === undefined) return false;
  const name = `outrigger-try-${process.pid}`;
  const made = spawnSync(ip, ['netns', 'add', name]).status === 0;
  if (made) spawnSync(ip, ['netns', 'del', name]);
  else if (process.env['OUTRIGGER_REQUIRE_TOOLS'] === '1') throw new Error('network namespaces cannot be made');
  else console.warn('skipped: network namespaces cannot be made (that takes root)');
  return made;
}

const log = [
  {
    name: 'log',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: '@DIR@/access.log',
      log_format: {
        text_format_source: {
          inline_string: '%LISTENER_NAME% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS%\n',
        },
      },
    },
  },
];
const listener = (name: string, address: string, port: number, more: object = {}): object => ({
  name,
  address: { socket_address: { address, port_value: port } },
  access_log: log,
  filter_chains: [
    {
      filters: [
        {
          name: 'says',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config',
            response: { inline_string: name },
          },
        },
      ],
    },
  ],
  ...more,
});
const config = {
  static_resources: {
    listeners: [
      listener('virtual', '0.0.0.0', 15_001, { use_original_dst: true }),
      listener('transparent', '0.0.0.0', 15_006, { use_original_dst: true, transparent: true }),
      listener('exact', '10.9.0.5', 80, { bind_to_port: false }),
      listener('wildcard', '0.0.0.0', 81, { bind_to_port: false }),
    ],
  },
};

const proxies = [
  ['envoy', findTool('envoy')],
  ['outrigger', OUTRIGGER],
] as const;

describe.skipIf(!canRun())('original destinations', () => {
  const run = (...args: string[]): void => void execFileSync(ip!, args, { stdio: 'pipe' });
  const inside = (namespace: string, ...command: string[]): void => run('netns', 'exec', namespace, ...command);

  describe.each(proxies.filter(([, binary]) => binary !== undefined))('%s', (name, binary) => {
    const here = `outrigger-${name}-p${process.pid}`;
    const outside = `outrigger-${name}-c${process.pid}`;
    let dir = '';
    let proxy: ChildProcess | undefined;

    beforeAll(async () => {
      for (const namespace of [here, outside]) {
        run('netns', 'add', namespace);
        run('-n', namespace, 'link', 'set', 'lo', 'up');
      }
      run('-n', here, 'link', 'add', 'inner', 'type', 'veth', 'peer', 'name', 'outer', 'netns', outside);
      run('-n', here, 'addr', 'add', '10.8.0.1/24', 'dev', 'inner');
      run('-n', here, 'link', 'set', 'inner', 'up');
      run('-n', outside, 'addr', 'add', '10.8.0.2/24', 'dev', 'outer');
      run('-n', outside, 'link', 'set', 'outer', 'up');
      run('-n', outside, 'route', 'add', 'default', 'via', '10.8.0.1');
      // What is sent from here to 10.9/16 is redirected; what comes from there is taken in where it goes.
      run('-n', here, 'route', 'add', '10.9.0.0/16', 'dev', 'inner');
      inside(
        here,
        iptables!,
        '-t',
        'nat',
        '-A',
        'OUTPUT',
        '-p',
        'tcp',
        '-d',
        '10.9.0.0/16',
        '-j',
        'REDIRECT',
        '--to-ports',
        '15001',
      );
      inside(
        here,
        iptables!,
        '-t',
        'mangle',
        '-A',
        'PREROUTING',
        '-p',
        'tcp',
        '-i',
        'inner',
        '-j',
        'TPROXY',
        '--on-port',
        '15006',
        '--tproxy-mark',
        '1',
      );
      run('-n', here, 'rule', 'add', 'fwmark', '1', 'lookup', '100');
      run('-n', here, 'route', 'add', 'local', '0.0.0.0/0', 'dev', 'lo', 'table', '100');
      dir = mkdtempSync(join(tmpdir(), `original-dst-${name}-`));
      const file = join(dir, 'config.json');
      writeFileSync(file, JSON.stringify(config).replaceAll('@DIR@', dir));
      proxy = spawn(
        ip!,
        [
          'netns',
          'exec',
          here,
          binary!,
          '-c',
          file,
          '--disable-hot-restart',
          '--base-id',
          '77',
          '--concurrency',
          '1',
          '--file-flush-interval-msec',
          '5',
          '-l',
          'error',
        ],
        { stdio: 'inherit' },
      );
      const deadline = Date.now() + 15_000;
      while (ask(here, '127.0.0.1', 15_001) !== 'virtual')
        if (Date.now() > deadline) throw new Error(`${name} does not answer`);
    }, 30_000);
    afterAll(async () => {
      if (proxy !== undefined && proxy.exitCode === null) {
        proxy.kill('SIGKILL');
        await once(proxy, 'exit');
      }
      for (const namespace of [here, outside]) spawnSync(ip!, ['netns', 'del', namespace]);
      if (dir !== '') rmSync(dir, { recursive: true });
    });

    /** What a connection from a namespace to an address gets. */
    function ask(namespace: string, address: string, port: number): string {
      const client = `const s = require('node:net').connect(${port}, '${address}'); s.setTimeout(2000, () => s.destroy()); s.on('error', () => {}); s.pipe(process.stdout)`;
      return spawnSync(ip!, ['netns', 'exec', namespace, process.execPath, '-e', client], { encoding: 'utf8' }).stdout;
    }

    async function lastLogged(): Promise<string> {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return readFileSync(join(dir, 'access.log'), 'utf8').trim().split('\n').at(-1)!;
    }

    test.each([
      ['the listener of the very address', '10.9.0.5', 80, 'exact', '127.0.0.1:15001'],
      ['the listener of the port', '10.9.0.6', 81, 'wildcard', '127.0.0.1:15001'],
      ['no other listener', '10.9.0.7', 82, 'virtual', '127.0.0.1:15001'],
    ])('redirected: %s', async (_, address, port, wanted, direct) => {
      expect(ask(here, address, port)).toBe(wanted);
      expect(await lastLogged()).toBe(`${wanted} ${address}:${port} ${direct}`);
    });

    test('not redirected', async () => {
      expect(ask(here, '127.0.0.1', 15_001)).toBe('virtual');
      expect(await lastLogged()).toBe('virtual 127.0.0.1:15001 127.0.0.1:15001');
    });

    test.each([
      ['the listener of the very address', '10.9.0.5', 80, 'exact'],
      ['the listener of the port', '192.0.2.6', 81, 'wildcard'],
      ['no other listener', '192.0.2.7', 82, 'transparent'],
    ])('taken in: %s', async (_, address, port, wanted) => {
      expect(ask(outside, address, port)).toBe(wanted);
      expect(await lastLogged()).toBe(`${wanted} ${address}:${port} ${address}:${port}`);
    });
  });
});
