import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { adsBootstrap, assignment, edsCluster, rdsListener, routesTo } from '../support/ads-config.ts';
import { AdsServer } from '../support/ads-server.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { HttpClient } from '../support/http-client.ts';
import { cluster, tcp } from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

/** A whole service: listener `in` -> routes `r` -> cluster `c` -> this port. */
function serve(ads: AdsServer, port: number): void {
  ads.change((set) => {
    set('cds', 'c', edsCluster('c'));
    set('eds', 'c', assignment('c', port));
    set('lds', 'in', rdsListener('in', 'r'));
    set('rds', 'r', routesTo('r', 'c'));
  });
}

describe.each([
  ['SotW', false],
  ['delta', true],
])('ADS, %s', (_, delta) => {
  test('the first configuration, in the order of Envoy', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const response = await fetch(`http://127.0.0.1:${proxy.port('in')}/`);
    expect([response.status, await response.text()]).toEqual([200, 'upstream']);
    const order = [...new Set(ads.requests.map(({ kind }) => kind))];
    expect(order).toEqual(['cds', 'eds', 'lds', 'rds']);
    expect(ads.plane.nacks).toEqual([]);
    expect(proxy.stat('cluster_manager.cds.update_success')).toBe(1);
    expect(proxy.stat('listener_manager.lds.update_success')).toBe(1);
    expect(proxy.stat('http.in.rds.r.update_success')).toBe(1);
    expect(proxy.stat('http.in.rds.r.config_reload')).toBe(1);
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(1);
    expect(proxy.stat('server.state')).toBe(0);
    await eventually('the acknowledgements', () => ads.requests.length >= 8);
  });

  test('changes land under traffic, and no request fails', async () => {
    await using one = await ScriptedUpstream.start();
    await using two = await saying('two');
    await using ads = await AdsServer.start();
    serve(ads, one.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 1 });
    const port = proxy.port('in');
    const bodies = new Set<string>();
    let failed = 0;
    const end = new AbortController();
    const traffic = (async () => {
      while (!end.signal.aborted) {
        const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
        if (response?.status !== 200) failed++;
        else bodies.add(await response.text());
      }
    })();
    const reaches = (text: string) =>
      eventually(text, async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()) === text);
    // The endpoints, then the route, then the listener.
    ads.set('eds', 'c', assignment('c', two.port));
    await reaches('two');
    ads.change((set) => {
      set('cds', 'd', edsCluster('d'));
      set('eds', 'd', assignment('d', one.port));
    });
    await eventually('the cluster', () => proxy.stat('cluster.d.membership_total') === 1);
    ads.set('rds', 'r', routesTo('r', 'd'));
    await reaches('upstream');
    ads.change((set) => {
      set('rds', 's', routesTo('s', 'c'));
      set('lds', 'in', rdsListener('in', 's'));
    });
    await reaches('two');
    end.abort();
    await traffic;
    expect(failed).toBe(0);
    expect([...bodies].toSorted()).toEqual(['two', 'upstream']);
    expect(proxy.stat('listener_manager.listener_in_place_updated')).toBe(1);
    expect(ads.plane.nacks).toEqual([]);
  });

  test('a response that is bad in part: the good is served, and the refusal names the bad', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const unknown = {
      name: 'nope',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext' },
    };
    const bad = rdsListener('bad', 'r', { hcm: { http_filters: [unknown] } });
    ads.set('lds', 'bad', bad);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const response = await fetch(`http://127.0.0.1:${proxy.port('in')}/`);
    expect(response.status).toBe(200);
    await eventually('the refusal', () => ads.nacks('lds').length > 0);
    expect(ads.nacks('lds')[0]).toMatch(/^Error adding\/updating listener\(s\) bad: .*nope.*\n$/s);
    expect(proxy.stat('listener_manager.lds.update_rejected')).toBe(1);
    const dump = await configDump(proxy.adminPort!, 'dynamic_listeners');
    const shown = dump.find(({ name }) => name === 'bad');
    expect(shown).toMatchObject({ error_state: { details: expect.stringContaining('nope') as string } });
    expect(shown).not.toHaveProperty('active_state');
  });

  test('a listener warms until its routes have come, and its predecessor serves until then', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const port = proxy.port('in');
    ads.withheld.add('rds');
    ads.change((set) => {
      set('lds', 'in', rdsListener('in', 'late'));
      set('lds', 'other', rdsListener('other', 'late'));
      set('rds', 'late', {
        name: 'late',
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 418 } }] },
        ],
      });
    });
    await eventually('warming', () => proxy.stat('listener_manager.total_listeners_warming') === 2);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    const dump = await configDump(proxy.adminPort!, 'dynamic_listeners');
    expect(dump.map(({ name, ...states }) => [name, Object.keys(states)])).toEqual([
      ['in', ['active_state', 'warming_state']],
      ['other', ['warming_state']],
    ]);
    ads.withheld.clear();
    ads.push();
    await eventually('the routes', async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 418);
    expect((await fetch(`http://127.0.0.1:${proxy.port('other')}/`)).status).toBe(418);
    expect(proxy.stat('listener_manager.total_listeners_warming')).toBe(0);
  });

  test('who waited for initial_fetch_timeout goes on without', async () => {
    await using ads = await AdsServer.start();
    serve(ads, 1);
    ads.withheld.add('rds');
    ads.set('lds', 'in', rdsListener('in', 'never', { timeout: '0.05s' }));
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    expect((await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status).toBe(404);
    expect(proxy.stat('http.in.rds.never.init_fetch_timeout')).toBe(1);
  });

  test('a silent control plane: the proxy serves what it has after the timeout', async () => {
    await using ads = await AdsServer.start();
    ads.silent = true;
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta, timeout: '0.05s' }) });
    expect(proxy.stat('server.state')).toBe(0);
    expect(proxy.stat('cluster_manager.cds.init_fetch_timeout')).toBe(1);
    expect(proxy.stat('listener_manager.lds.init_fetch_timeout')).toBe(1);
  });

  test('a removed listener takes no connections any more, and those that it has end in time', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), drainTimeSeconds: 1 });
    const port = proxy.port('in');
    using client = HttpClient.connect(port);
    expect((await client.get('/').response()).status).toBe(200);
    ads.remove('lds', 'in');
    await eventually('the removal', () => proxy.stat('listener_manager.listener_removed') === 1);
    await eventually('the port to close', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => false,
        () => true,
      ),
    );
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(0);
    expect(proxy.stat('listener_manager.total_listeners_draining')).toBe(1);
    await eventually('the drain', () => proxy.stat('listener_manager.total_listeners_draining') === 0);
    expect(proxy.stat('http.in.rds.r.update_success')).toBeUndefined();
  });

  test('a control plane that goes away and comes back', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const get = async () => (await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status;
    ads.dropStreams();
    // The next stream may be there at once; what counts streams that ended stays.
    await eventually('the end of the stream', () => proxy.stat('cluster_manager.cds.update_failure') === 1);
    expect(await get()).toBe(200);
    ads.set('rds', 'r', { name: 'r', virtual_hosts: [] });
    await eventually('the new routes', async () => (await get()) === 404);
    expect(proxy.stat('listener_manager.listener_modified')).toBe(0);
    expect(ads.plane.nacks).toEqual([]);
  });

  test('many changes in a row: the last one holds, and no request fails', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const port = proxy.port('in');
    for (let i = 0; i < 200; i++) {
      const header = { header: { key: 'x-change', value: String(i) } };
      ads.set('rds', 'r', routesTo('r', 'c', { response_headers_to_add: [header] }));
      if (i % 10 === 0) ads.set('lds', 'in', rdsListener('in', 'r', { hcm: { server_name: `server ${i}` } }));
      if (i % 5 === 0) expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    }
    await eventually('the last change', async () => {
      const { headers } = await fetch(`http://127.0.0.1:${port}/`);
      return headers.get('x-change') === '199' && headers.get('server') === 'server 190';
    });
    expect(ads.plane.nacks).toEqual([]);
  });

  test('clusters are acknowledged when they have warmed, but for the first ones', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const asked = (kind: string) => ads.requests.filter((request) => request.kind === kind).length;
    await eventually('the first acknowledgement', () => asked('cds') === 2);
    ads.withheld.add('eds');
    ads.change((set) => {
      set('cds', 'd', edsCluster('d'));
      set('eds', 'd', assignment('d', upstream.port));
    });
    await eventually('warming', () => proxy.stat('cluster_manager.warming_clusters') === 1);
    const before = asked('rds');
    ads.set('rds', 'r', routesTo('r', 'c', { request_headers_to_remove: ['x'] }));
    await eventually('the acknowledgement of another type', () => asked('rds') > before);
    expect(asked('cds')).toBe(2);
    ads.withheld.delete('eds');
    ads.push();
    await eventually('the acknowledgement', () => asked('cds') === 3);
    expect(proxy.stat('cluster_manager.warming_clusters')).toBe(0);
  });

  test('a port that is taken: the refusal says so, and the others are served', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const inline = { rds: undefined, route_config: { name: 'inline' } };
    const taken = rdsListener('taken', '', { hcm: inline, address: tcp(upstream.port) });
    ads.change((set) => {
      set('lds', 'taken', taken);
      set('lds', 'free', rdsListener('free', '', { hcm: inline }));
    });
    await eventually('the refusal', () => ads.nacks('lds').length > 0);
    expect(ads.nacks('lds')[0]).toMatch(/^Error adding\/updating listener\(s\) taken: .*Address already in use/s);
    expect((await fetch(`http://127.0.0.1:${proxy.port('free')}/`)).status).toBe(404);
    expect(proxy.stat('listener_manager.listener_create_failure')).toBe(1);
  });

  test('a port that is taken, of a listener that would have to warm: refused at once, and before the start as well', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    ads.set('lds', 'early', rdsListener('early', 'r', { address: tcp(upstream.port) }));
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    await eventually('the refusal', () => ads.nacks('lds').length > 0);
    const reason = `cannot bind '127.0.0.1:${upstream.port}': Address already in use`;
    expect(ads.nacks('lds')[0]).toBe(`Error adding/updating listener(s) early: ${reason}\n`);
    ads.change((set) => {
      set('lds', 'early', undefined);
      set('lds', 'late', rdsListener('late', 'never', { address: tcp(upstream.port) }));
    });
    await eventually('the second refusal', () => ads.nacks('lds').some((text) => text.includes(`late: ${reason}`)));
    const shown = await configDump(proxy.adminPort!, 'dynamic_listeners');
    expect(shown.find(({ name }) => name === 'late')).toMatchObject({ error_state: { details: reason } });
    expect(proxy.stat('listener_manager.listener_added')).toBe(1);
    expect(proxy.stat('listener_manager.total_listeners_warming')).toBe(0);
    expect((await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status).toBe(200);
  });

  test('a listener that moves to another port is opened there', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 2 });
    const port = await freePort();
    ads.set('lds', 'in', rdsListener('in', 'r', { address: tcp(port) }));
    await eventually('the other port', () => proxy.port('in') === port);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    ads.set('lds', 'in', rdsListener('in', 'r', { address: tcp(upstream.port) }));
    await eventually('the refusal', () => ads.nacks('lds').length > 0);
    expect(proxy.port('in')).toBe(port);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });

  test('another configuration: what another source delivers takes the place of what the last one did', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using other = await saying('other');
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    ads.set('cds', 'gone', edsCluster('gone'));
    ads.set('eds', 'gone', assignment('gone', upstream.port));
    const config = adsBootstrap(ads.port, { delta });
    await using proxy = await createProxy({ config });
    const port = proxy.port('in');
    await using folder = await mkdtempDisposable(join(tmpdir(), 'lds-'));
    const type = 'type.googleapis.com/envoy.config';
    const write = async (kind: string, resources: readonly object[]) => {
      const path = join(folder.path, `${kind}.json`);
      await writeFile(path, JSON.stringify({ version_info: 'file', resources }));
      return { path_config_source: { path }, resource_api_version: 'V3' };
    };
    const clusters = [{ '@type': `${type}.cluster.v3.Cluster`, ...cluster('c', other.port) }];
    const routes = routesTo('inline', 'c');
    const listeners = ['in', 'new'].map((name) => ({
      '@type': `${type}.listener.v3.Listener`,
      ...rdsListener(name, '', { hcm: { rds: undefined, route_config: routes } }),
    }));
    const dynamic = config['dynamic_resources'] as object;
    await proxy.update({
      ...config,
      dynamic_resources: {
        ...dynamic,
        cds_config: await write('cds', clusters),
        lds_config: await write('lds', listeners),
      },
    });
    expect(proxy.port('in')).toBe(port);
    for (const name of ['in', 'new'])
      expect(await (await fetch(`http://127.0.0.1:${proxy.port(name)}/`)).text()).toBe('other');
    expect(proxy.stat('cluster_manager.active_clusters')).toBe(2);
    // Back again, and then without listeners.
    await proxy.update(config);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('upstream');
    expect(() => proxy.port('new')).toThrow("there is no listener 'new'");
    await proxy.update({ ...config, dynamic_resources: { ...dynamic, lds_config: undefined } });
    expect(() => proxy.port('in')).toThrow("there is no listener 'in'");
    expect(proxy.stat('cluster_manager.active_clusters')).toBe(3);
    const elsewhere = { ...adsBootstrap(ads.port, { delta: !delta }), node: { id: 'other', cluster: 'test' } };
    await expect(proxy.update(elsewhere)).rejects.toThrow(/ads_config.*changed.*\n.*node.*changed/s);
  });

  test('a proxy without a control plane gets one with another configuration', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: { node: { id: 'a', cluster: 'b' } } });
    await proxy.update(adsBootstrap(ads.port, { delta }));
    expect((await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status).toBe(200);
  });

  test('scoped routes: a header chooses the routes, and scopes come and go', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const scoped_routes = {
      name: 'scopes',
      scope_key_builder: {
        fragments: [
          { header_value_extractor: { name: 'X-Path', element_separator: ';', element: { separator: '=', key: 'v' } } },
        ],
      },
      rds_config_source: { ads: {}, resource_api_version: 'V3' },
      scoped_rds: { scoped_rds_config_source: { ads: {}, resource_api_version: 'V3' } },
    };
    const scope = (name: string, value: string, routes: string) => ({
      name,
      route_configuration_name: routes,
      key: { fragments: [{ string_key: value }] },
    });
    ads.change((set) => {
      set('lds', 'in', rdsListener('in', '', { hcm: { rds: undefined, scoped_routes } }));
      set('srds', 'one', scope('one', '1', 'r'));
      set('srds', 'two', scope('two', '2', 'gone'));
      set('rds', 'gone', {
        name: 'gone',
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 410 } }] },
        ],
      });
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const get = async (path: string) =>
      (await fetch(`http://127.0.0.1:${proxy.port('in')}/`, { headers: { 'x-path': path } })).status;
    expect([await get('a=0;v=1'), await get('v=2'), await get('v=3'), await get('v')]).toEqual([200, 410, 404, 404]);
    expect(proxy.stat('http.in.scoped_rds.scopes.all_scopes')).toBe(2);
    ads.change((set) => {
      set('srds', 'one', scope('one', '3', 'r'));
      set('srds', 'two', undefined);
    });
    await eventually('the scopes', async () => (await get('v=3')) === 200);
    expect([await get('v=1'), await get('v=2')]).toEqual([404, 404]);
    ads.set('srds', 'three', scope('three', '3', 'r'));
    await eventually('the refusal', () => ads.nacks('srds').some((text) => text.includes('scope key conflict')));
    expect(await get('v=3')).toBe(200);
    expect(ads.nacks('lds')).toEqual([]);
  });

  test('scopes that have their routes in themselves', async () => {
    await using ads = await AdsServer.start();
    const fragments = [{ header_value_extractor: { name: 'x-key', element_separator: '', index: 0 } }];
    const scoped_routes = { name: 'scopes', scope_key_builder: { fragments } };
    const scope = (name: string, key: string, status: number) => ({
      name,
      key: { fragments: [{ string_key: key }] },
      route_configuration: {
        name,
        virtual_hosts: [
          { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status } }] },
        ],
      },
    });
    const scoped_rds = { scoped_rds_config_source: { ads: {}, resource_api_version: 'V3' } };
    const listener = (name: string, how: object) =>
      rdsListener(name, '', { hcm: { rds: undefined, scoped_routes: { ...scoped_routes, ...how } } });
    const list = (...scoped_route_configurations: object[]) => ({
      rds_config_source: { ads: {}, resource_api_version: 'V3' },
      scoped_route_configurations_list: { scoped_route_configurations },
    });
    ads.change((set) => {
      set('cds', 'c', edsCluster('c'));
      set('eds', 'c', assignment('c'));
      set('lds', 'in', listener('in', { scoped_rds }));
      set('lds', 'list', listener('list', list(scope('a', '1', 211), scope('b', '2', 212))));
      const { route_configuration: _, ...named } = scope('c', '1', 0);
      set('lds', 'named', listener('named', list({ ...named, route_configuration_name: 'r' })));
      set('srds', 'one', scope('one', '1', 221));
      // As in Envoy, its own go first, and the others are not even asked for.
      set('srds', 'both', { ...scope('both', '2', 222), route_configuration_name: 'r' });
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 1 });
    const get = async (name: string, key: string) =>
      (await fetch(`http://127.0.0.1:${proxy.port(name)}/`, { headers: { 'x-key': key } })).status;
    expect([await get('list', '1'), await get('list', '2'), await get('list', '3')]).toEqual([211, 212, 404]);
    expect([await get('in', '1'), await get('in', '2'), await get('in', '3')]).toEqual([221, 222, 404]);
    ads.set('srds', 'one', scope('one', '1', 231));
    await eventually('the change', async () => (await get('in', '1')) === 231);
    const [dumped] = await configDump(proxy.adminPort!, 'dynamic_scoped_route_configs');
    expect(dumped).toMatchObject({
      name: 'scopes',
      scoped_route_configs: [{ name: 'both', route_configuration_name: 'r' }, scope('one', '1', 231)],
    });
    expect(ads.nacks('lds')[0]).toMatch(/named: .*\(route_configuration_name\) is not supported with inline scoped/);
    ads.set('srds', 'neither', { ...scope('neither', '4', 0), route_configuration: undefined });
    await eventually('the refusal', () => ads.nacks('srds').length > 0);
    expect(ads.nacks('srds')[0]).toBe('route_configuration_name is empty.');
    expect(ads.requests.some(({ kind }) => kind === 'rds')).toBe(false);
    for (const [name, count] of Object.entries({ all_scopes: 2, active_scopes: 0, on_demand_scopes: 0 }))
      expect([name, proxy.stat(`http.in.scoped_rds.scopes.${name}`)]).toEqual([name, count]);
  });

  test('filters whose configs are delivered apart (ECDS)', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
    const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
    const source = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
    const http_filters = [
      { name: 'fault', config_discovery: { config_source: source, type_urls: [FAULT] } },
      { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } },
    ];
    const fault = (status: number) => ({
      name: 'fault',
      typed_config: { '@type': FAULT, abort: { http_status: status, percentage: { numerator: 100 } } },
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 1 });
    const get = async () => (await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status;
    // It warms until its filter has come; its predecessor serves.
    ads.set('lds', 'in', rdsListener('in', 'r', { hcm: { http_filters } }));
    await eventually('warming', () => proxy.stat('listener_manager.total_listeners_warming') === 1);
    expect(await get()).toBe(200);
    ads.set('ecds', 'fault', fault(418));
    await eventually('the filter', async () => (await get()) === 418);
    ads.set('ecds', 'fault', fault(451));
    await eventually('the change', async () => (await get()) === 451);
    ads.set('ecds', 'fault', { name: 'fault', typed_config: { '@type': ROUTER } });
    await eventually('the refusal', () => ads.nacks('ecds').length > 0);
    expect(ads.nacks('ecds')[0]).toMatch(/^Error: filter config has type URL .*Router but expect .*HTTPFault\.$/);
    expect(await get()).toBe(451);
    expect(await configDump(proxy.adminPort!, 'ecds_filters')).toMatchObject([
      { ecds_filter: { name: 'fault', typed_config: { abort: { http_status: 451 } } } },
    ]);
    expect(proxy.stat('extension_config_discovery.http_filter.fault.config_reload')).toBe(2);
    expect(proxy.stat('extension_config_discovery.http_filter.fault.config_fail')).toBe(1);
  });

  test('another config of a discovered filter is for the next request on an open connection, and for the next connection', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
    const RBAC = 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC';
    const config_source = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
    const router = {
      name: 'envoy.filters.http.router',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
    };
    const http_filters = [{ name: 'fault', config_discovery: { config_source, type_urls: [FAULT] } }, router];
    const listener = rdsListener('in', 'r', { hcm: { http_filters } }) as { filter_chains: { filters: object[] }[] };
    listener.filter_chains[0]!.filters.unshift({
      name: 'rbac',
      config_discovery: { config_source, type_urls: [RBAC] },
    });
    const fault = (status: number) => ({
      name: 'fault',
      typed_config: { '@type': FAULT, abort: { http_status: status, percentage: { numerator: 100 } } },
    });
    const rbac = (action: string) => ({
      name: 'rbac',
      typed_config: {
        '@type': RBAC,
        stat_prefix: 'p',
        rules: { action, policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } },
      },
    });
    ads.change((set) => {
      set('lds', 'in', listener);
      set('ecds', 'fault', fault(418));
      set('ecds', 'rbac', rbac('ALLOW'));
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }), concurrency: 1 });
    using client = HttpClient.connect(proxy.port('in'));
    const get = async (): Promise<number> => (await client.get('/').response()).status;
    expect(await get()).toBe(418);
    ads.set('ecds', 'fault', fault(451));
    await eventually('the change', async () => (await get()) === 451);
    ads.set('ecds', 'rbac', rbac('DENY'));
    await eventually('the change for new connections', async () => {
      using other = HttpClient.connect(proxy.port('in'));
      return other
        .get('/')
        .response()
        .then(
          () => false,
          () => other.closed,
        );
    });
    expect(await get()).toBe(451);
    expect(client.closed).toBe(false);
    for (const name of ['listener_modified', 'listener_in_place_updated', 'total_filter_chains_draining'])
      expect([name, proxy.stat(`listener_manager.${name}`)]).toEqual([name, 0]);
  });

  test('a filter without its config fails requests, unless there is a default', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
    const router = {
      name: 'envoy.filters.http.router',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
    };
    const discovery = {
      config_source: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0.05s' },
      type_urls: [FAULT],
    };
    const default_config = { '@type': FAULT, abort: { http_status: 418, percentage: { numerator: 100 } } };
    const listenerWith = (name: string, config_discovery: object) =>
      rdsListener(name, 'r', { hcm: { http_filters: [{ name, config_discovery }, router] } });
    ads.change((set) => {
      set('lds', 'none', listenerWith('none', discovery));
      set('lds', 'default', listenerWith('default', { ...discovery, default_config }));
      const at_once = { ...discovery, default_config, apply_default_config_without_warming: true };
      set('lds', 'at-once', listenerWith('at-once', at_once));
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const get = async (name: string) => (await fetch(`http://127.0.0.1:${proxy.port(name)}/`)).status;
    expect([await get('none'), await get('default'), await get('at-once')]).toEqual([500, 418, 418]);
  });

  test('a network or listener filter without its config closes every connection', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    const discovery = (type: string) => ({
      config_source: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0.05s' },
      type_urls: [`type.googleapis.com/${type}`],
    });
    const rbac = { name: 'policy', config_discovery: discovery('envoy.extensions.filters.network.rbac.v3.RBAC') };
    const inspector = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
    const network = rdsListener('network', 'r') as { filter_chains: { filters: object[] }[] };
    network.filter_chains[0]!.filters.unshift(rbac);
    const listenerFilters = { listener_filters: [{ name: 'inspector', config_discovery: discovery(inspector) }] };
    ads.change((set) => {
      set('lds', 'network', network);
      set('lds', 'listener', { ...rdsListener('listener', 'r'), ...listenerFilters });
    });
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    for (const name of ['network', 'listener'])
      await expect(fetch(`http://127.0.0.1:${proxy.port(name)}/`)).rejects.toThrow('fetch failed');
    expect(upstream.take()).toEqual([]);
  });

  test('/config_dump shows versions and states; unchanged resources cost nothing', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using ads = await AdsServer.start();
    serve(ads, upstream.port);
    await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta }) });
    const [cluster] = await configDump(proxy.adminPort!, 'dynamic_active_clusters');
    expect(cluster).toMatchObject({ cluster: { name: 'c', type: 'EDS' }, version_info: expect.any(String) as string });
    const [listener] = await configDump(proxy.adminPort!, 'dynamic_listeners');
    expect(listener).toMatchObject({ name: 'in', active_state: { listener: { name: 'in' } } });
    const [routes] = await configDump(proxy.adminPort!, 'dynamic_route_configs');
    expect(routes).toMatchObject({ route_config: { name: 'r' }, version_info: expect.any(String) as string });
    const [endpoints] = await configDump(proxy.adminPort!, 'dynamic_endpoint_configs', '&include_eds');
    expect(endpoints).toMatchObject({ endpoint_config: { cluster_name: 'c' } });
    expect(await configDump(proxy.adminPort!, 'static_clusters')).toMatchObject([{ cluster: { name: 'xds' } }]);
  });
});

test('virtual hosts that are delivered apart (VHDS)', async () => {
  await using upstream = await ScriptedUpstream.start();
  await using ads = await AdsServer.start();
  serve(ads, upstream.port);
  const host = (domain: string, status: number) => ({
    name: `r/${domain}`,
    domains: [domain],
    routes: [{ match: { prefix: '/' }, direct_response: { status } }],
  });
  ads.change((set) => {
    set('rds', 'r', { name: 'r', vhds: { config_source: { ads: {}, resource_api_version: 'V3' } } });
    set('vhds', 'r/*', host('*', 201));
    set('vhds', 'other/*', host('*', 299));
  });
  await using proxy = await createProxy({ config: adsBootstrap(ads.port, { delta: true }) });
  const get = async () => (await fetch(`http://127.0.0.1:${proxy.port('in')}/`)).status;
  expect(await get()).toBe(201);
  expect(proxy.stat('http.in.vhds.r.update_success')).toBe(1);
  ads.set('vhds', 'r/*', host('*', 202));
  await eventually('the change', async () => (await get()) === 202);
  ads.remove('vhds', 'r/*');
  await eventually('the removal', async () => (await get()) === 404);
  expect(ads.plane.nacks).toEqual([]);
});

test('layers of the runtime come first (RTDS)', async () => {
  await using upstream = await ScriptedUpstream.start();
  await using ads = await AdsServer.start();
  serve(ads, upstream.port);
  ads.set('rtds', 'flags', { name: 'flags', layer: { a: { b: 7 } } });
  const source = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
  const layered_runtime = {
    layers: [
      { name: 'base', static_layer: { 'a.b': 1 } },
      { name: 'x', rtds_layer: { name: 'flags', rtds_config: source } },
    ],
  };
  await using proxy = await createProxy({ config: adsBootstrap(ads.port, { bootstrap: { layered_runtime } }) });
  expect(ads.requests[0]).toMatchObject({ kind: 'rtds', names: ['flags'] });
  const final = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/runtime`);
    const { entries } = (await response.json()) as { entries: Record<string, { final_value: string }> };
    return entries['a.b']!.final_value;
  };
  expect(await final()).toBe('7');
  ads.set('rtds', 'flags', { name: 'flags', layer: { a: { b: 8 } } });
  await eventually('the change', async () => (await final()) === '8');
  expect(proxy.stat('runtime.update_success')).toBe(2);
  expect(ads.plane.nacks).toEqual([]);
});

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

/** A list of the dump. */
async function configDump(port: number, resource: string, more = ''): Promise<Record<string, unknown>[]> {
  const response = await fetch(`http://127.0.0.1:${port}/config_dump?resource=${resource}${more}`);
  const { configs } = (await response.json()) as { configs: Record<string, unknown>[] };
  return configs.map(({ '@type': _type, ...rest }) => rest);
}
