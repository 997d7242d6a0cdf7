import { describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { adsBootstrap, assignment, edsCluster, rdsListener, routesTo } from '../support/ads-config.ts';
import { AdsServer } from '../support/ads-server.ts';
import { eventually } from '../support/eventually.ts';
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
});
