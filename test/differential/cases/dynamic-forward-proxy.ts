import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const FILTER = 'envoy.filters.http.dynamic_forward_proxy';
const cache = (name: string, more: object = {}) => ({ name, dns_lookup_family: 'V4_ONLY', ...more });
const small = cache('small', { max_hosts: 1 });
const none = cache('none', { dns_cache_circuit_breaker: { max_pending_requests: 0 } });

const cluster = (dns: object) => ({
  type: undefined,
  load_assignment: undefined,
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.dynamic_forward_proxy',
    typed_config: {
      '@type': `${TYPE}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
      dns_cache_config: dns,
    },
  },
});

/** Hosts that requests name, looked up on the way. */
export const clusters = {
  any: cluster(cache('any')),
  small: cluster(small),
  none: cluster(none),
} as never;

const filter = (dns: object) => ({
  name: FILTER,
  typed_config: { '@type': `${TYPE}.filters.http.dynamic_forward_proxy.v3.FilterConfig`, dns_cache_config: dns },
});
const to = (name: string, prefix = '/', rewrite?: object) => ({
  match: { prefix },
  route: { cluster: name },
  ...(rewrite !== undefined && {
    typed_per_filter_config: {
      [FILTER]: { '@type': `${TYPE}.filters.http.dynamic_forward_proxy.v3.PerRouteConfig`, ...rewrite },
    },
  }),
});

export const listeners: Readonly<Record<string, ListenerParts>> = {
  any: {
    filters: [filter(cache('any'))] as never,
    routes: [
      to('any', '/literal', { host_rewrite_literal: 'localhost:@UPSTREAM@' }),
      to('any', '/ip', { host_rewrite_literal: '127.0.0.1:@UPSTREAM@' }),
      to('any', '/closed', { host_rewrite_literal: 'localhost:@CLOSED@' }),
      to('any', '/header', { host_rewrite_header: 'X-To' }),
      { match: { prefix: '/static' }, route: { cluster: 'upstream' } },
      to('any'),
    ] as never,
  },
  small: { filters: [filter(small)] as never, routes: [to('small')] },
  none: { filters: [filter(none)] as never, routes: [to('none')] },
  unfiltered: { routes: [to('any')] },
};

const get = (name: string, listener: string, path: string, host: string, fields = ''): Case => ({
  name,
  listener,
  send: `GET ${path} HTTP/1.1\nHost: ${host}\n${fields}\n`,
  responses: 1,
});

export const cases: readonly Case[] = [
  get('a host that the route names', 'any', '/literal', 'nowhere.invalid'),
  get('an address that the route names', 'any', '/ip', 'nowhere.invalid'),
  get('a host where nobody listens', 'any', '/closed', 'nowhere.invalid'),
  get('a header that names an address of the other family', 'any', '/header', 'a.example', 'X-To: [::1]:80\nX-To: b\n'),
  get('a cluster of another type', 'any', '/static', 'nowhere.invalid'),
  get('an address of the other family', 'any', '/', '[::1]:80'),
  get('the first host of a cache for one', 'small', '/', '[::1]:80'),
  get('the second host of a cache for one', 'small', '/', '127.0.0.1:1'),
  get('a cache where none may wait', 'none', '/', '127.0.0.1:1'),
  get('a host that no filter has asked for', 'unfiltered', '/', '127.0.0.1:1'),
];
