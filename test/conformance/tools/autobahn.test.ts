import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { cluster, http2Upstream, listener, proxyConfig } from '../../support/proxy-config.ts';
import type { ProxyProcess } from '../../support/proxy-process.ts';
import { runTool } from '../../support/run-tool.ts';
import { startSubject, subjectName } from '../../support/subject.ts';
import { findTool } from '../../support/tools.ts';

const wstest = findTool('wstest');

interface CaseResult {
  readonly behavior: string;
  readonly behaviorClose: string;
}

/** What the suite gives with this server and no proxy: fragmented text that is cut off late is NON-STRICT. */
const EXPECTED = { OK: 240, 'NON-STRICT': 4, INFORMATIONAL: 3 };

/** Autobahn's WebSocket fuzzing client, the proxy, and an echo server; without the mass and performance cases. */
describe.skipIf(wstest === undefined)('Autobahn', () => {
  const dir = mkdtempSync(join(tmpdir(), 'autobahn-'));
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: true,
    maxPayload: 64 << 20,
    skipUTF8Validation: false,
  });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  let proxy: ProxyProcess;

  beforeAll(async () => {
    const { port } = server.address() as { port: number };
    const hcm = { upgrade_configs: [{ upgrade_type: 'websocket' }], delayed_close_timeout: '0s' };
    proxy = await startSubject(
      proxyConfig({
        listeners: [
          listener('websocket', { hcm }),
          // In through HTTP/1.1, on as extended CONNECT over HTTP/2, and back.
          listener('over-h2', { hcm, routes: [{ match: { prefix: '/' }, route: { cluster: 'h2' } }] }),
          listener('from-h2', {
            hcm: { ...hcm, codec_type: 'HTTP2', http2_protocol_options: { allow_connect: true } },
            listener: { address: { pipe: { path: '@DIR@/h2.sock' } } },
          }),
        ],
        clusters: [
          cluster('backend', port),
          {
            name: 'h2',
            connect_timeout: '5s',
            ...http2Upstream({ allow_connect: true }),
            load_assignment: {
              cluster_name: 'h2',
              endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '@DIR@/h2.sock' } } } }] }],
            },
          },
        ],
      }),
    );
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  for (const name of ['websocket', 'over-h2'])
    test(`all cases go through the ${name} listener as they do without a proxy`, async () => {
      const outdir = join(dir, name);
      const spec = join(dir, `${name}.json`);
      writeFileSync(
        spec,
        JSON.stringify({
          outdir,
          servers: [{ agent: name, url: `ws://127.0.0.1:${proxy.ports.get(name)}` }],
          cases: ['*'],
          'exclude-cases': ['9.*', '12.*', '13.*'],
          'exclude-agent-cases': {},
        }),
      );
      const { output } = await runTool(wstest!, ['-m', 'fuzzingclient', '-s', spec], 280_000, { cwd: dir });
      const index = JSON.parse(readFileSync(join(outdir, 'index.json'), 'utf8')) as Record<
        string,
        Record<string, CaseResult>
      >;
      const results = Object.entries(index[name]!);
      const count: Record<string, number> = {};
      for (const [, { behavior }] of results) count[behavior] = (count[behavior] ?? 0) + 1;
      console.log(`Autobahn through ${subjectName} (${name}): ${JSON.stringify(count)}`);
      const failed = results.filter(([, { behavior }]) => !(behavior in EXPECTED)).map(([id]) => id);
      expect(failed, proxy.output + output.slice(-500)).toEqual([]);
      expect(count).toEqual(EXPECTED);
    }, 300_000);
});
