import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { ScriptedTcpUpstream } from '../support/scripted-tcp-upstream.ts';
import { findTool } from '../support/tools.ts';
import { cases, tcpConfig } from './cases/tcp.ts';
import { startTcpSubject, type TcpCase, type TcpObservation, type TcpSubject } from './tcp-harness.ts';

const envoyBinary = findTool('envoy');

/** Case -> why the two differ, and shall. */
const DIFFERENCES: Readonly<Record<string, string>> = {};

/** Where nobody listens; outside of the range that the system gives listeners their ports from. */
const CLOSED_PORT = 1;

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
    [envoy, outrigger] = await Promise.all([
      startTcpSubject('envoy', envoyBinary!, tcpConfig(), upstream, CLOSED_PORT),
      startTcpSubject('outrigger', OUTRIGGER, tcpConfig(), upstream, CLOSED_PORT),
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
