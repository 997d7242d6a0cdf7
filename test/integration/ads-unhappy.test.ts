import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { adsBootstrap, assignment, edsCluster, rdsListener, routesTo } from '../support/ads-config.ts';
import { AdsServer } from '../support/ads-server.ts';
import { eventually } from '../support/eventually.ts';

const STORM_SECONDS = Number(process.env['OUTRIGGER_STORM_SECONDS'] ?? 10);
const STORM_RATE = 100;

/** An upstream with an answer of its own. */
async function saying(text: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const marked = (cluster: string, mark: unknown) =>
  routesTo('r', cluster, { response_headers_to_add: [{ header: { key: 'x-mark', value: String(mark) } }] });

function serve(ads: AdsServer, port: number): void {
  ads.change((set) => {
    set('cds', 'c', edsCluster('c'));
    set('eds', 'c', assignment('c', port));
    set('lds', 'in', rdsListener('in', 'r'));
    set('rds', 'r', marked('c', 'first'));
  });
}

const started = (ads: AdsServer, delta: boolean): Promise<Proxy> =>
  createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 1 });

/** Status, body and the mark of the routes. */
async function get(proxy: Proxy): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${proxy.port('in')}/`);
  return `${response.status} ${await response.text()} ${response.headers.get('x-mark')}`;
}

describe.each([
  ['SotW', false],
  ['delta', true],
])('an ADS server that misbehaves, %s', (_, delta) => {
  test('every response twice, with the same nonce: once is enough', async () => {
    await using one = await saying('one');
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    ads.deliver = (send) => {
      send();
      send();
    };
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    expect(await get(proxy)).toBe('200 one first');
    ads.change((set) => {
      set('eds', 'c', assignment('c', two.port));
      set('rds', 'r', marked('c', 'second'));
      set('lds', 'in', rdsListener('in', 'r', { hcm: { server_name: 'changed' } }));
    });
    await eventually('the change', async () => (await get(proxy)) === '200 two second');
    await eventually('the listener', () => proxy.stat('listener_manager.lds.update_success') === 4);
    expect(proxy.stat('listener_manager.listener_added')).toBe(1);
    expect(proxy.stat('listener_manager.listener_in_place_updated')).toBe(1);
    expect(proxy.stat('cluster_manager.cluster_added')).toBe(2);
    expect(proxy.stat('cluster_manager.cluster_modified')).toBe(0);
    expect(ads.plane.nacks).toEqual([]);
  });

  test('the same nonce for all, and versions that never change or go back: what came last holds', async () => {
    await using one = await saying('one');
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    let version = 1000;
    ads.deliver = (send, response) => {
      response.nonce = 'always';
      const stale = String(version--);
      if ('versionInfo' in response) response.versionInfo = version % 2 === 0 ? stale : '1';
      else for (const resource of response.resources) resource.version = version % 2 === 0 ? stale : '1';
      send();
    };
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    for (const [mark, { port }, text] of [
      ['second', two, 'two'],
      ['third', one, 'one'],
      ['second', two, 'two'],
    ] as const) {
      ads.change((set) => {
        set('eds', 'c', assignment('c', port));
        set('rds', 'r', marked('c', mark));
      });
      await eventually(`${mark}, ${text}`, async () => (await get(proxy)) === `200 ${text} ${mark}`);
    }
    expect(ads.plane.nacks).toEqual([]);
  });

  test('an old response once more: what came last holds, and the next change lands', async () => {
    await using one = await saying('one');
    await using ads = await AdsServer.start();
    const sends: (() => void)[] = [];
    ads.deliver = (send, { typeUrl }) => {
      if (typeUrl.endsWith('.RouteConfiguration')) sends.push(send);
      send();
    };
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    ads.set('rds', 'r', marked('c', 'second'));
    await eventually('the change', async () => (await get(proxy)) === '200 one second');
    sends[0]!();
    await eventually('the old', async () => (await get(proxy)) === '200 one first');
    ads.set('rds', 'r', marked('c', 'third'));
    await eventually('the next', async () => (await get(proxy)) === '200 one third');
    expect(ads.plane.nacks).toEqual([]);
  });

  test.each([
    ['request', 4],
    ['response, unsent', 4],
    ['response, sent', 4],
  ] as const)('a reset of stream n at its %s n, for every n', async (point, least) => {
    await using one = await saying('one');
    await using ads = await AdsServer.start();
    let resets = 0;
    let begin = 0;
    const isPoint = (count: number): boolean => {
      if (count - begin !== resets) return false;
      resets++;
      begin = count + 1;
      return true;
    };
    if (point === 'request') ads.onRequest = (count) => void (isPoint(count) && ads.resetStreams());
    else
      ads.deliver = (send, _response, count) => {
        if (point === 'response, sent') send();
        if (isPoint(count)) ads.resetStreams();
        else if (point === 'response, unsent') send();
      };
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    expect(await get(proxy)).toBe('200 one first');
    for (let i = 0; i < 12; i++) {
      ads.set('rds', 'r', marked('c', i));
      await eventually(`change ${i}`, async () => (await get(proxy)) === `200 one ${i}`);
    }
    expect(resets).toBeGreaterThanOrEqual(least);
    expect(ads.plane.nacks).toEqual([]);
    expect(proxy.stat('listener_manager.listener_added')).toBe(1);
    expect(proxy.stat('cluster_manager.cluster_added')).toBe(2);
    expect(proxy.stat('cluster_manager.cds.update_failure')).toBe(resets);
  });

  test('a reset amid a change that takes several responses: no request fails, and the rest comes', async () => {
    await using one = await saying('one');
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    const traffic = keepAsking(proxy);
    for (let at = 0; at < 4; at++) {
      const name = `d${at}`;
      let answered = 0;
      ads.deliver = (send) => {
        send();
        if (answered++ === at) ads.resetStreams();
      };
      ads.change((set) => {
        set('cds', name, edsCluster(name));
        set('eds', name, assignment(name, at % 2 === 0 ? two.port : one.port));
        set('lds', 'in', rdsListener('in', 'r', { hcm: { server_name: name } }));
      });
      await eventually(`cluster ${name}`, () => proxy.stat(`cluster.${name}.membership_total`) === 1);
      ads.set('rds', 'r', marked(name, name));
      const text = at % 2 === 0 ? 'two' : 'one';
      await eventually(`the routes to ${name}`, async () => (await get(proxy)) === `200 ${text} ${name}`);
    }
    const { failures, total } = await traffic.end();
    expect(failures).toEqual([]);
    expect(total).toBeGreaterThan(0);
    expect(ads.plane.nacks).toEqual([]);
  });

  test('a slow server: each response has its effect when it comes, and the old serves until then', async () => {
    await using one = await saying('one');
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    const traffic = keepAsking(proxy);
    const held: { readonly kind: string; readonly send: () => void }[] = [];
    ads.deliver = (send, { typeUrl }) => void held.push({ kind: typeUrl.split('.').at(-1)!, send });
    const release = async (kind: string): Promise<void> => {
      const next = await eventually(`a response with ${kind}`, () => held.shift());
      expect(next.kind).toBe(kind);
      next.send();
    };
    ads.change((set) => {
      set('cds', 'd', edsCluster('d'));
      set('eds', 'd', assignment('d', two.port));
      set('lds', 'in', rdsListener('in', 's'));
      set('rds', 's', { ...marked('d', 'second'), name: 's' });
    });
    await release('Cluster');
    await eventually('the warming cluster', () => proxy.stat('cluster_manager.warming_clusters') === 1);
    expect(await get(proxy)).toBe('200 one first');
    // The listeners were pushed along with the clusters; their answer is not waited for.
    await release('Listener');
    await eventually('the warming listener', () => proxy.stat('listener_manager.total_listeners_warming') === 1);
    expect(await get(proxy)).toBe('200 one first');
    await release('ClusterLoadAssignment');
    await eventually('the cluster', () => proxy.stat('cluster_manager.warming_clusters') === 0);
    expect(await get(proxy)).toBe('200 one first');
    await release('RouteConfiguration');
    await eventually('the listener', async () => (await get(proxy)) === '200 two second');
    expect((await traffic.end()).failures).toEqual([]);
    expect(ads.plane.nacks).toEqual([]);
  });

  test('a server that falls silent: the last state serves; what it missed to say comes when it speaks again', async () => {
    await using one = await saying('one');
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    serve(ads, one.port);
    await using proxy = await started(ads, delta);
    ads.silent = true;
    ads.resetStreams();
    const requests = ads.requests.length;
    await eventually('the next stream', () => ads.streamCount === 1 && ads.requests.length >= requests + 4);
    ads.change((set) => {
      set('eds', 'c', assignment('c', two.port));
      set('rds', 'r', marked('c', 'second'));
    });
    for (let i = 0; i < 20; i++) expect(await get(proxy)).toBe('200 one first');
    ads.silent = false;
    ads.push();
    await eventually('the change', async () => (await get(proxy)) === '200 two second');
    expect(proxy.stat('listener_manager.listener_modified')).toBe(0);
    expect(ads.plane.nacks).toEqual([]);
  });
});

describe.concurrent.each([
  ['SotW', false],
  ['delta', true],
])('an update storm, %s', (name, delta) => {
  test(
    `${STORM_RATE} updates a second for ${STORM_SECONDS} s: no request fails, and the last accepted state serves`,
    async () => {
      await using one = await saying('one');
      await using two = await saying('two');
      await using ads = await AdsServer.start();
      serve(ads, one.port);
      // Refusals are part of it: a hundred lines of log are not.
      await using proxy = await createProxy({
        config: adsBootstrap(ads.port, { delta }),
        concurrency: 1,
        logLevel: 'error',
      });
      const traffic = keepAsking(proxy);
      const total = STORM_RATE * STORM_SECONDS;
      const begin = performance.now();
      let behindMs = 0;
      for (let i = 0; i < total; i++) {
        const dueMs = (i * 1000) / STORM_RATE - (performance.now() - begin);
        if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs));
        else behindMs = Math.max(behindMs, -dueMs);
        storm(ads, i, one.port, two.port);
      }
      const lastedMs = performance.now() - begin;
      ads.change((set) => {
        set('cds', 'extra', undefined);
        set('eds', 'extra', undefined);
        set('lds', 'bad', undefined);
        set('eds', 'c', assignment('c', two.port));
        set('lds', 'in', rdsListener('in', 'r', { hcm: { server_name: 'last' } }));
        set('rds', 'r', marked('c', 'last'));
      });
      await eventually(
        'the last state',
        async () => {
          const response = await fetch(`http://127.0.0.1:${proxy.port('in')}/`);
          const shown = [await response.text(), response.headers.get('x-mark'), response.headers.get('server')];
          return shown.join() === 'two,last,last';
        },
        10_000,
      );
      await eventually('the removal', () => proxy.stat('cluster_manager.active_clusters') === 2);
      const { failures, total: asked } = await traffic.end();
      console.log(
        `storm ${name}: ${total} updates in ${(lastedMs / 1000).toFixed(1)} s (at most ${behindMs.toFixed(0)} ms late), ` +
          `${asked} requests, ${failures.length} failed, ${ads.plane.nacks.length} refusals`,
      );
      expect(failures).toEqual([]);
      expect(asked).toBeGreaterThan(total / 10);
      // Nothing but the bad was refused, and the bad was.
      expect(ads.nacks('lds').length).toBeGreaterThan(0);
      expect(ads.plane.nacks.filter(({ message }) => !message.includes('nope'))).toEqual([]);
      expect(await stateOf(proxy)).toEqual({ clusters: ['c'], warming: [], listeners: ['in: active_state'] });
    },
    STORM_SECONDS * 1000 + 30_000,
  );
});

/** One of the updates, of every kind in turn; some are refused. */
function storm(ads: AdsServer, i: number, one: number, two: number): void {
  switch (i % 10) {
    case 1:
    case 6:
      return ads.set('eds', 'c', assignment('c', i % 20 < 10 ? one : two));
    case 2:
      return ads.change((set) => {
        set('cds', 'c', edsCluster('c', { connect_timeout: `${1 + (i % 7)}s` }));
        set('eds', 'c', { ...assignment('c', one), policy: { overprovisioning_factor: 100 + (i % 97) } });
      });
    case 3:
      return ads.set('lds', 'in', rdsListener('in', 'r', { hcm: { server_name: `s${i}` } }));
    case 4:
      return ads.change((set) => {
        set('cds', 'extra', edsCluster('extra'));
        set('eds', 'extra', assignment('extra', two));
      });
    case 7:
      return ads.remove('cds', 'extra');
    case 8: {
      const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
      const nope = { name: 'nope', typed_config: { '@type': type } };
      return ads.set('lds', 'bad', rdsListener('bad', 'r', { hcm: { http_filters: [nope] } }));
    }
    case 9:
      return ads.remove('lds', 'bad');
    default:
      return ads.set('rds', 'r', marked('c', i));
  }
}

/** Requests one after another until `end`, whose failures are texts. */
function keepAsking(proxy: Proxy): { end(): Promise<{ readonly failures: string[]; readonly total: number }> } {
  const failures: string[] = [];
  let total = 0;
  const ended = new AbortController();
  const asking = (async () => {
    while (!ended.signal.aborted) {
      const shown = await get(proxy).catch((error: unknown) => String(error));
      total++;
      if (!shown.startsWith('200 ')) failures.push(shown);
    }
  })();
  return {
    async end() {
      ended.abort();
      await asking;
      return { failures, total };
    },
  };
}

/** What `/config_dump` has of the control plane. */
async function stateOf(proxy: Proxy) {
  const names = async (resource: string): Promise<Record<string, unknown>[]> => {
    const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump?resource=${resource}`);
    return ((await response.json()) as { configs?: Record<string, unknown>[] }).configs ?? [];
  };
  const clusterNames = (entries: Record<string, unknown>[]) =>
    entries.map(({ cluster }) => (cluster as { name: string }).name);
  return {
    clusters: clusterNames(await names('dynamic_active_clusters')),
    warming: clusterNames(await names('dynamic_warming_clusters')),
    listeners: (await names('dynamic_listeners')).map(
      (entry) =>
        `${String(entry['name'])}: ${Object.keys(entry)
          .filter((key) => key.endsWith('_state') && key !== 'draining_state')
          .join()}`,
    ),
  };
}
