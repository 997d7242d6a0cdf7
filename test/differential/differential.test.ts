import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { ScriptedH2Upstream } from '../support/scripted-h2-upstream.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { findTool } from '../support/tools.ts';
import * as attempts from './cases/attempts.ts';
import * as clusters from './cases/clusters.ts';
import * as cors from './cases/cors.ts';
import * as dynamicForwardProxy from './cases/dynamic-forward-proxy.ts';
import * as filters from './cases/filters.ts';
import * as grpcFilters from './cases/grpc-filters.ts';
import * as grpcJson from './cases/grpc-json.ts';
import * as grpc from './cases/grpc.ts';
import * as headers from './cases/headers.ts';
import * as http2 from './cases/http2.ts';
import * as requests from './cases/http1-requests.ts';
import * as localRateLimit from './cases/local-ratelimit.ts';
import * as rbac from './cases/rbac.ts';
import * as routing from './cases/routing.ts';
import * as translation from './cases/translation.ts';
import * as upgrade from './cases/upgrade.ts';
import { differentialConfig } from './config.ts';
import { DIFFERENCES } from './differences.ts';
import { startSubject, type Case, type Observation, type Subject } from './harness.ts';

const envoyBinary = findTool('envoy');
const groups = {
  requests,
  routing,
  clusters,
  headers,
  attempts,
  dynamicForwardProxy,
  filters,
  grpcFilters,
  grpcJson,
  rbac,
  cors,
  localRateLimit,
  upgrade,
  translation,
  http2,
  grpc,
};

/** A port that was free a moment ago and where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function comparable(observation: Observation, ignore: Case['ignore'] = []): Partial<Observation> {
  const kept: Record<string, unknown> = { ...observation };
  for (const part of ignore) delete kept[part];
  return kept as Partial<Observation>;
}

describe.skipIf(envoyBinary === undefined).each(Object.entries(groups))('%s', (_name, group) => {
  let envoy: Subject;
  let outrigger: Subject;
  let upstream: ScriptedUpstream;
  let h2Upstream: ScriptedH2Upstream;

  beforeAll(async () => {
    upstream = await ScriptedUpstream.start();
    h2Upstream = await ScriptedH2Upstream.start();
    const closed = await closedPort();
    const config = differentialConfig(group.listeners, 'clusters' in group ? group.clusters : {});
    [envoy, outrigger] = await Promise.all([
      startSubject('envoy', envoyBinary!, config, upstream, closed, h2Upstream),
      startSubject('outrigger', OUTRIGGER, config, upstream, closed, h2Upstream),
    ]);
  });
  afterAll(async () => {
    await envoy?.proxy[Symbol.asyncDispose]();
    await outrigger?.proxy[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await h2Upstream?.[Symbol.asyncDispose]();
  });

  test.each(group.cases.map((each) => [each.name, each] as const))('%s', async (name, each) => {
    const theirs = await envoy.observe(each);
    const ours = await outrigger.observe(each, theirs.log.length);
    const reason = DIFFERENCES[name];
    if (reason === undefined) expect(comparable(ours, each.ignore)).toEqual(comparable(theirs, each.ignore));
    else
      expect(comparable(ours, each.ignore), `no longer different: ${reason}`).not.toEqual(
        comparable(theirs, each.ignore),
      );
  });
});
