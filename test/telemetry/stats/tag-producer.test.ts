import { describe, expect, test } from 'vitest';
import { TagProducer } from '../../../src/telemetry/stats/tag-producer.ts';

/** `name{tag=value,...}`, tags in order and without the `envoy.` in front. */
const produce = (producer: TagProducer, stat: string): string => {
  const { name, tags } = producer.produce(stat);
  return `${name}{${tags.map((tag) => `${tag.name.replace(/^envoy\./, '')}=${tag.value}`).join()}}`;
};

describe('default tags', () => {
  const producer = new TagProducer(true, []);

  // What Envoy 1.40 makes of these names.
  test.each([
    ['cluster.backend.upstream_rq_200', 'cluster.upstream_rq{response_code=200,cluster_name=backend}'],
    [
      'cluster.backend.external.upstream_rq_5xx',
      'cluster.external.upstream_rq_xx{response_code_class=5,cluster_name=backend}',
    ],
    ['cluster.dns.b.update_attempt', 'cluster.b.update_attempt{cluster_name=dns}'],
    ['cluster.b.circuit_breakers.default.rq_open', 'cluster.circuit_breakers.default.rq_open{cluster_name=b}'],
    [
      'http.in.gress.downstream_rq_4xx',
      'http.gress.downstream_rq_xx{response_code_class=4,http_conn_manager_prefix=in}',
    ],
    ['http.ingress.rbac.hp.allowed', 'http.rbac.allowed{rbac_http_prefix=hp,http_conn_manager_prefix=ingress}'],
    [
      'listener.127.0.0.1_8080.http.ingress.downstream_rq_completed',
      'listener.http.downstream_rq_completed{http_conn_manager_prefix=ingress,listener_address=127.0.0.1_8080}',
    ],
    [
      'listener.[__1]_23912.worker_0.downstream_cx_total',
      'listener.worker_downstream_cx_total{worker_id=0,listener_address=[__1]_23912}',
    ],
    ['listener.admin.downstream_cx_total', 'listener.admin.downstream_cx_total{}'],
    [
      'listener.admin.http.admin.downstream_rq_2xx',
      'listener.admin.http.downstream_rq_xx{response_code_class=2,http_conn_manager_prefix=admin}',
    ],
    [
      'listener.my.stat.worker_0.downstream_cx_total',
      'listener.stat.worker_0.downstream_cx_total{listener_address=my}',
    ],
    ['server.worker_12.watchdog_miss', 'server.worker_watchdog_miss{worker_id=12}'],
    [
      'thread_local_cluster_manager.worker_0.clusters_inflated',
      'thread_local_cluster_manager.worker_clusters_inflated{worker_id=0}',
    ],
    ['vhost.all.route.rsp.upstream_rq_200', 'vhost.route.upstream_rq{response_code=200,virtual_host=all,route=rsp}'],
    [
      'vhost.all.vcluster.other.upstream_rq_retry',
      'vhost.vcluster.upstream_rq_retry{virtual_cluster=other,virtual_host=all}',
    ],
    [
      'http.i.fault.downstream.aborts_injected',
      'http.fault.aborts_injected{fault_downstream_cluster=downstream,http_conn_manager_prefix=i}',
    ],
    ['http.i.fault.aborts_injected', 'http.fault.aborts_injected{http_conn_manager_prefix=i}'],
    ['hlr.http_local_rate_limit.ok', 'http_local_rate_limit.ok{local_http_ratelimit_prefix=hlr}'],
    ['rbp.rbac.allowed', 'rbac.allowed{rbac_prefix=rbp}'],
    ['connection_limit.clp.active_connections', 'connection_limit.active_connections{connection_limit_prefix=clp}'],
    ['tcp.t.p.idle_timeout', 'tcp.p.idle_timeout{tcp_prefix=t}'],
    ['cluster.c.ssl.ciphers.ECDHE-RSA', 'cluster.ssl.ciphers{cipher_suite=ECDHE-RSA,cluster_name=c}'],
    [
      'listener.0.0.0.0_1.ssl.versions.TLSv1.3',
      'listener.ssl.versions{ssl_version=TLSv1.3,listener_address=0.0.0.0_1}',
    ],
    ['http.i.rds.route.a.config_reload', 'http.rds.config_reload{rds_route_config=route.a,http_conn_manager_prefix=i}'],
    ['server.live', 'server.live{}'],
  ])('%s', (stat, expected) => {
    expect(produce(producer, stat)).toBe(expected);
  });
});

describe('custom tags', () => {
  test('come behind the defaults that may hold for any name; the first of one tag wins', () => {
    const producer = new TagProducer(true, [
      { kind: 'fixed', name: 'fixed', value: 'v' },
      { kind: 'regex', name: 'my.port', regex: String.raw`^listener\.((.*?)\.)worker` },
      { kind: 'regex', name: 'envoy.cluster_name', regex: String.raw`^cluster\.((.+?);\.)` },
    ]);
    expect(produce(producer, 'cluster.alt;.membership_total')).toBe(
      'cluster.membership_total{fixed=v,cluster_name=alt;}',
    );
    expect(produce(producer, 'listener.my.stat.worker_0.downstream_cx_total')).toBe(
      'listener.worker_0.downstream_cx_total{fixed=v,listener_address=my,my.port=my.stat}',
    );
  });

  test('regexes are those of ECMAScript, with POSIX classes', () => {
    const producer = new TagProducer(false, [
      {
        kind: 'regex',
        name: 'prefix',
        regex: String.raw`^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbB[:digit:]]*))\.)`,
      },
      { kind: 'regex', name: 'letters', regex: String.raw`x([[:upper:]]+)` },
    ]);
    expect(produce(producer, 'listener.0.0.0.0_80.http.0.0.0.0_80.downstream_rq')).toBe(
      'listener.0.0.0.0_80.http.downstream_rq{prefix=0.0.0.0_80}',
    );
    expect(produce(producer, 'a.xABc')).toBe('a.xc{letters=AB}');
  });

  test('Istio takes no default tags and names its own', () => {
    const producer = new TagProducer(false, [
      { kind: 'regex', name: 'cluster_name', regex: String.raw`^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)` },
      { kind: 'regex', name: 'response_code_class', regex: String.raw`_rq(_(\dxx))$` },
      { kind: 'regex', name: 'envoy.response_code', regex: '' },
    ]);
    expect(produce(producer, 'cluster.xds-grpc.upstream_rq_2xx')).toBe(
      'cluster.upstream_rq{response_code_class=2xx,cluster_name=xds-grpc}',
    );
    expect(produce(producer, 'http.a.downstream_rq_404')).toBe('http.a.downstream_rq{response_code=404}');
    expect(() => new TagProducer(true, [{ kind: 'regex', name: 'nope', regex: '' }])).toThrow(
      "No regex specified for tag specifier and no default regex for name: 'nope'",
    );
  });
});
