import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { ScriptedTcpUpstream } from '../support/scripted-tcp-upstream.ts';
import { findTool } from '../support/tools.ts';
import { cases, tcpConfig } from './cases/tcp.ts';
import { startTcpSubject, type TcpCase, type TcpObservation, type TcpSubject } from './tcp-harness.ts';

const envoyBinary = findTool('envoy');

/** Case -> why the two differ, and shall. */
const DIFFERENCES: Readonly<Record<string, string>> = {};

/** A port that was free a moment ago and where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function comparable(observation: TcpObservation, ignore: TcpCase['ignore'] = []): Partial<TcpObservation> {
  const kept: Record<string, unknown> = { ...observation };
  for (const part of ignore) delete kept[part];
  return kept as Partial<TcpObservation>;
}

describe.skipIf(envoyBinary === undefined)('tcp', () => {
  let envoy: TcpSubject;
  let outrigger: TcpSubject;
  let upstream: ScriptedTcpUpstream;

  beforeAll(async () => {
    upstream = await ScriptedTcpUpstream.start();
    const closed = await closedPort();
    [envoy, outrigger] = await Promise.all([
      startTcpSubject('envoy', envoyBinary!, tcpConfig(), upstream, closed),
      startTcpSubject('outrigger', OUTRIGGER, tcpConfig(), upstream, closed),
    ]);
  });
  afterAll(async () => {
    await envoy?.proxy[Symbol.asyncDispose]();
    await outrigger?.proxy[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test.each(cases.map((each) => [each.name, each] as const))('%s', async (name, each) => {
    const seen = await envoy.observe(each);
    const theirs = comparable(seen, each.ignore);
    const ours = comparable(await outrigger.observe(each, seen.log.length), each.ignore);
    const reason = DIFFERENCES[name];
    if (reason === undefined) expect(ours).toEqual(theirs);
    else expect(ours, `no longer different: ${reason}`).not.toEqual(theirs);
  });
});
