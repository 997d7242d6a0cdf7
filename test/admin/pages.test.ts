import { describe, expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/admin-server.ts';
import type { AdminResponse } from '../../src/admin/page.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { clusterStatus, FakeServer, hostStatus } from './fake-sources.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly after: AdminResponse['after'];
}

class Client {
  readonly server = new FakeServer();
  readonly errors: unknown[] = [];
  readonly #admin = new AdminServer({
    sources: this.server.sources,
    clock: systemClock,
    onError: (_, error) => this.errors.push(error),
  });

  async #ask(method: string, target: string, body = '', contentType = ''): Promise<Answer> {
    const response = await this.#admin.respond(method, target, body, contentType);
    const text = typeof response.body === 'string' ? response.body : [...response.body].join('');
    return {
      status: response.status,
      type: response.contentType,
      text: text + ((await response.tail?.()) ?? ''),
      after: response.after,
    };
  }

  get = (target: string): Promise<Answer> => this.#ask('GET', target);
  post = (target: string, form?: string): Promise<Answer> =>
    this.#ask('POST', target, form, form === undefined ? '' : 'application/x-www-form-urlencoded');
}

describe('paths and methods', () => {
  test('an unknown path is answered with the list of commands', async () => {
    const { status, type, text } = await new Client().get('/nope');
    expect([status, type]).toEqual([404, 'text/plain; charset=UTF-8']);
    expect(text).toMatch(/^invalid path. admin commands are:\n {2}\/: Admin home page\n/);
    expect(text).toContain('  /quitquitquit (POST): exit the server\n');
    expect(text).toContain('      format: File format to use; One of (text, json)\n');
    expect((await new Client().get('/help')).text).toBe(text.slice('invalid path. '.length));
  });

  test('whatever changes something wants POST', async () => {
    const client = new Client();
    for (const path of [
      '/healthcheck/fail',
      '/healthcheck/ok',
      '/drain_listeners',
      '/quitquitquit',
      '/reset_counters',
      '/runtime_modify?a=b',
      '/logging?level=off',
      '/reopen_logs',
      '/cpuprofiler?enable=y',
    ]) {
      const { status, text } = await client.get(path);
      expect([path, status, text]).toEqual([path, 405, 'Method GET not allowed, POST required.']);
    }
    expect(client.server.done).toEqual([]);
    expect(client.server.state).toBe('LIVE');
    expect(client.server.levels.get('http')).toBe('info');
  });

  test.each([
    ['//ready', 200],
    ['/%72eady?x=%zz&&=', 200],
    ['/stats/../ready', 200],
    ['http://host/ready#x', 200],
    ['/ready/', 404],
    ['/READY', 404],
    ['/../../..', 200],
    ['*', 404],
    ['/%', 404],
  ])('%s: %d', async (target, status) => {
    expect((await new Client().get(target)).status).toBe(status);
  });

  test('a page that throws is a 500, and told', async () => {
    const client = new Client();
    Object.defineProperty(client.server.sources.server, 'state', {
      value: () => {
        throw new Error('boom');
      },
    });
    expect((await client.get('/ready')).status).toBe(500);
    expect(client.errors).toEqual([new Error('boom')]);
  });

  test('the home page offers a button for every command', async () => {
    const { text, type } = await new Client().get('/');
    expect(type).toBe('text/html; charset=UTF-8');
    expect(text).toContain('<form action="quitquitquit" method="post" id="quitquitquit">');
    expect(text).toContain('<a href="server_info">');
    expect(text).toContain('<select name="histogram_buckets" form="stats">');
  });
});

describe('server state', () => {
  test('/ready is 200 only when live', async () => {
    const client = new Client();
    expect(await client.get('/ready')).toMatchObject({ status: 200, text: 'LIVE\n' });
    for (const state of ['PRE_INITIALIZING', 'INITIALIZING', 'DRAINING'] as const) {
      client.server.state = state;
      expect(await client.get('/ready')).toMatchObject({ status: 503, text: `${state}\n` });
    }
  });

  test('/healthcheck/fail and ok', async () => {
    const client = new Client();
    expect(await client.post('/healthcheck/fail')).toMatchObject({ status: 200, text: 'OK\n' });
    expect((await client.get('/ready')).text).toBe('DRAINING\n');
    await client.post('/healthcheck/ok');
    expect((await client.get('/ready')).text).toBe('LIVE\n');
  });

  test('/server_info', async () => {
    const { text, type } = await new Client().get('/server_info');
    expect(type).toBe('application/json');
    expect(text).toBe(`{
 "version": "abc/1.0.0/Clean/RELEASE/OpenSSL",
 "state": "LIVE",
 "uptime_current_epoch": "12s",
 "uptime_all_epochs": "12s",
 "hot_restart_version": "disabled",
 "command_line_options": {
  "base_id": "0",
  "concurrency": 1
 },
 "node": {
  "id": "n1"
 }
}
`);
  });

  test('small ones', async () => {
    const client = new Client();
    expect((await client.get('/hot_restart_version')).text).toBe('disabled');
    expect(JSON.parse((await client.get('/certs')).text)).toEqual({ certificates: [] });
    expect(Number(JSON.parse((await client.get('/memory')).text).total_physical_bytes)).toBeGreaterThan(1e6);
    expect(JSON.parse((await client.get('/init_dump')).text)).toEqual({
      unready_targets_dumps: [{ name: 'listener l', target_names: ['rds r'] }],
    });
    expect((await client.get('/init_dump?mask=cluster')).text).toBe('{}\n');
  });
});

describe('commands', () => {
  test('/quitquitquit quits once the response is out', async () => {
    const client = new Client();
    const { text, after } = await client.post('/quitquitquit');
    expect([text, client.server.done]).toEqual(['OK\n', []]);
    after?.();
    expect(client.server.done).toEqual(['quit']);
  });

  test('/drain_listeners passes its flags on', async () => {
    const client = new Client();
    await client.post('/drain_listeners');
    await client.post('/drain_listeners?graceful&skip_exit&inboundonly');
    expect(client.server.drains).toEqual([
      { graceful: false, skipExit: false, inboundOnly: false },
      { graceful: true, skipExit: true, inboundOnly: true },
    ]);
  });

  test('/reset_counters and /reopen_logs', async () => {
    const client = new Client();
    client.server.thread.counter('c').inc();
    await client.post('/reset_counters');
    expect(client.server.stats.value('c')).toBe(0);
    await client.post('/reopen_logs');
    expect(client.server.done).toEqual(['reopen']);
  });

  test('/logging changes all, one or several levels, or says what is wrong', async () => {
    const client = new Client();
    expect((await client.post('/logging')).text).toBe('active loggers:\n  admin: info\n  http: info\n\n');
    expect((await client.post('/logging?level=debug')).text).toContain('  http: debug\n');
    expect((await client.post('/logging?http=trace')).text).toContain('  admin: debug\n  http: trace\n');
    expect((await client.post('/logging?paths=http:off,admin:error')).text).toContain('  admin: error\n  http: off\n');
    for (const [query, problem] of [
      ['level=bogus', 'unknown logger level'],
      ['bogus=info', 'unknown logger name'],
      ['paths=admin:info,bogus:info', 'unknown logger name'],
      ['paths=admin', 'empty logger name or empty logger level'],
      ['level=info&paths=admin:debug', 'invalid number of parameters'],
      ['group=admin:info', 'group parameter requires fine-grain logging to be enabled'],
    ]) {
      const { status, text } = await client.post(`/logging?${query}`);
      expect(status).toBe(400);
      expect(text.startsWith(`error: ${problem}\n\nusage: /logging?<name>=<level> (change single level)\n`)).toBe(true);
    }
    expect([...client.server.levels.values()]).toEqual(['error', 'off']);
  });

  test('/runtime and /runtime_modify', async () => {
    const client = new Client();
    expect(JSON.parse((await client.get('/runtime')).text)).toEqual({
      layers: ['base', 'admin'],
      entries: { 'a.b': { final_value: '1', layer_values: ['1', ''] } },
    });
    expect((await client.post('/runtime_modify')).status).toBe(400);
    expect((await client.post('/runtime_modify?d=false&q=')).text).toBe('OK\n');
    expect((await client.post('/runtime_modify', 'form=a+b%21')).text).toBe('OK\n');
    expect([...client.server.adminLayer!]).toEqual([
      ['d', 'false'],
      ['q', ''],
      ['form', 'a b!'],
    ]);
    client.server.adminLayer = undefined;
    expect(await client.post('/runtime_modify?d=false')).toMatchObject({
      status: 503,
      text: 'No admin layer specified',
    });
  });
});

describe('/listeners', () => {
  test('text and json', async () => {
    const client = new Client();
    expect((await client.get('/listeners')).text).toBe(
      'ingress::[::1]:23912\ningress::127.0.0.1:23914\npipe_l::/run/p.sock\n',
    );
    expect(JSON.parse((await client.get('/listeners?format=json')).text)).toEqual({
      listener_statuses: [
        {
          name: 'ingress',
          local_address: { socket_address: { address: '::1', port_value: 23912 } },
          additional_local_addresses: [{ socket_address: { address: '127.0.0.1', port_value: 23914 } }],
        },
        { name: 'pipe_l', local_address: { pipe: { path: '/run/p.sock' } } },
      ],
    });
  });
});

describe('/clusters', () => {
  const outlier = {
    successRateAverage: -1,
    successRateEjectionThreshold: -1,
    localOriginSuccessRateAverage: -1,
    localOriginSuccessRateEjectionThreshold: -1,
  };

  test('text, line by line as Envoy has it', async () => {
    const client = new Client();
    const host = hostStatus({ hostname: 'hn', weight: 3, region: 'r', zone: 'z', subZone: 's', canary: true });
    client.server.clusters = [clusterStatus('b', [host], { observabilityName: 'alt', outlier })];
    expect((await client.get('/clusters')).text).toBe(`b::observability_name::alt
b::outlier::success_rate_average::-1
b::outlier::success_rate_ejection_threshold::-1
b::outlier::local_origin_success_rate_average::-1
b::outlier::local_origin_success_rate_ejection_threshold::-1
b::default_priority::max_connections::1024
b::default_priority::max_pending_requests::1024
b::default_priority::max_requests::1024
b::default_priority::max_retries::3
b::high_priority::max_connections::1024
b::high_priority::max_pending_requests::1024
b::high_priority::max_requests::1024
b::high_priority::max_retries::3
b::added_via_api::false
b::127.0.0.1:23903::cx_active::0
b::127.0.0.1:23903::cx_connect_fail::0
b::127.0.0.1:23903::cx_total::2
b::127.0.0.1:23903::rq_active::0
b::127.0.0.1:23903::rq_error::2
b::127.0.0.1:23903::rq_pending_active::0
b::127.0.0.1:23903::rq_success::6
b::127.0.0.1:23903::rq_timeout::0
b::127.0.0.1:23903::rq_total::8
b::127.0.0.1:23903::hostname::hn
b::127.0.0.1:23903::health_flags::healthy
b::127.0.0.1:23903::weight::3
b::127.0.0.1:23903::region::r
b::127.0.0.1:23903::zone::z
b::127.0.0.1:23903::sub_zone::s
b::127.0.0.1:23903::canary::true
b::127.0.0.1:23903::priority::0
b::127.0.0.1:23903::success_rate::-1
b::127.0.0.1:23903::local_origin_success_rate::-1
`);
  });

  test('health flags', async () => {
    const client = new Client();
    const health = { ...hostStatus().health, failedActiveHealthCheck: true, eds: 'DEGRADED' } as const;
    client.server.clusters = [clusterStatus('b', [hostStatus({ health })])];
    expect((await client.get('/clusters')).text).toContain('::health_flags::/failed_active_hc/degraded_eds_health\n');
    const json = JSON.parse((await client.get('/clusters?format=json')).text);
    expect(json.cluster_statuses[0].host_statuses[0].health_status).toEqual({
      failed_active_health_check: true,
      eds_health_status: 'DEGRADED',
    });
  });

  test('json leaves defaults out and keeps the order of fields', async () => {
    const { text, type } = await new Client().get('/clusters?format=json');
    expect(type).toBe('application/json');
    expect(text.startsWith('{\n "cluster_statuses": [\n  {\n   "name": "backend",\n   "host_statuses": [\n')).toBe(
      true,
    );
    expect(text.endsWith('   "observability_name": "backend"\n  }\n ]\n}\n')).toBe(true);
    const [cluster] = JSON.parse(text).cluster_statuses;
    expect(Object.keys(cluster)).toEqual(['name', 'host_statuses', 'circuit_breakers', 'observability_name']);
    expect(cluster.host_statuses[0].stats.slice(0, 3)).toEqual([
      { name: 'cx_connect_fail' },
      { value: '2', name: 'cx_total' },
      { value: '2', name: 'rq_error' },
    ]);
    expect(cluster.circuit_breakers.thresholds[1].priority).toBe('HIGH');
  });

  test('filter', async () => {
    const client = new Client();
    expect((await client.get('/clusters?filter=^back')).text).not.toBe('');
    expect((await client.get('/clusters?filter=^x')).text).toBe('');
    expect((await client.get('/clusters?format=json&filter=^x')).text).toBe('{}\n');
    expect(await client.get('/clusters?filter=[')).toMatchObject({ status: 400, text: 'Invalid re2 regex' });
  });
});

describe('/config_dump', () => {
  test('holds every section, an Any of an unknown type by its type only', async () => {
    const { text } = await new Client().get('/config_dump');
    const { configs } = JSON.parse(text);
    expect(`${JSON.stringify({ configs }, null, 1)}\n`).toBe(text);
    expect(configs.map((config: { '@type': string }) => config['@type'].split('.').at(-1))).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'ScopedRoutesConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
    ]);
    expect(configs[0].bootstrap.node).toEqual({ id: 'n1', cluster: 'c1' });
    expect(configs[1].static_clusters[0]).toEqual({
      cluster: {
        '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
        name: 'backend',
        alt_stat_name: 'alt',
        typed_extension_protocol_options: { x: { '@type': 'type.googleapis.com/some.unknown.Options' } },
      },
      last_updated: '2026-01-02T03:04:05.006Z',
    });
    expect(configs[2]).toEqual({
      '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
      version_info: 'v7',
    });
  });

  test('include_eds adds endpoints', async () => {
    const client = new Client();
    expect((await client.get('/config_dump?include_eds')).text).toContain('EndpointsConfigDump');
    expect((await client.get('/config_dump')).text).not.toContain('EndpointsConfigDump');
  });

  test.each([
    ['resource=static_clusters&mask=cluster.name', ['backend', 'other']],
    ['resource=static_clusters&name_regex=o.*', ['other']],
  ])('%s', async (query, names) => {
    const { configs } = JSON.parse((await new Client().get(`/config_dump?${query}`)).text);
    expect(configs.map((config: { cluster: { name: string } }) => config.cluster.name)).toEqual(names);
    expect(configs[0]['@type']).toBe('type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster');
    if (query.includes('mask')) expect(Object.keys(configs[0].cluster)).toEqual(['@type', 'name']);
  });

  test('a mask without a resource keeps the sections that have all its paths', async () => {
    const client = new Client();
    expect(JSON.parse((await client.get('/config_dump?mask=bootstrap.node.id')).text)).toEqual({
      configs: [
        { '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump', bootstrap: { node: { id: 'n1' } } },
      ],
    });
    const { configs } = JSON.parse((await client.get('/config_dump?mask=version_info')).text);
    expect(configs.map((config: object) => Object.keys(config).length)).toEqual([1, 2]);
  });

  test.each([
    ['resource=bogus', 404, 'bogus not found in config dump'],
    ['resource=bootstrap', 400, 'bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field'],
    ['mask=bogus', 400, 'FieldMask bogus could not be successfully applied to any configs.'],
    [
      'mask=bootstrap.static_resources.clusters.name',
      400,
      'FieldMask bootstrap.static_resources.clusters.name could not be successfully applied to any configs.',
    ],
    ['resource=static_clusters&mask=bogus', 400, 'FieldMask bogus could not be successfully used.'],
    ['name_regex=%5B', 400, 'INVALID_ARGUMENT: Error while parsing name_regex from [: missing closing ]: ['],
  ])('%s: %d', async (query, status, text) => {
    expect(await new Client().get(`/config_dump?${query}`)).toMatchObject({ status, text, type: 'text/plain' });
  });

  test('an empty list is an empty object', async () => {
    expect((await new Client().get('/config_dump?resource=dynamic_listeners')).text).toBe('{}\n');
  });
});

describe('/stats', () => {
  const setUp = (): Client => {
    const client = new Client();
    client.server.thread.counter('cluster.a.upstream_rq_200').inc();
    client.server.thread.gauge('server.live');
    client.server.thread.histogram('h', 'milliseconds').record(3);
    client.server.stats.flushSync();
    return client;
  };

  test.each([
    ['/stats?filter=live', 'server.live: 0\n'],
    ['/stats?filter=live&invert_filter&type=Counters', 'cluster.a.upstream_rq_200: 1\n'],
    ['/stats?usedonly&type=Gauges', ''],
    ['/stats?format=json&type=Gauges', '{"stats":[{"name":"server.live","value":0}]}'],
    ['/stats?format=json&filter=zzz', '{"stats":[]}'],
    [
      '/stats/prometheus?filter=200',
      '# TYPE envoy_cluster_upstream_rq counter\n' +
        'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="a"} 1\n',
    ],
    ['/stats?format=prometheus&filter=live&type=Counters', '# TYPE envoy_server_live gauge\nenvoy_server_live{} 0\n'],
  ])('%s', async (target, text) => {
    expect(await setUp().get(target)).toMatchObject({ status: 200, text });
  });

  test.each([
    [
      '/stats?histogram_buckets=bogus',
      'usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n',
    ],
    ['/stats?histogram_buckets=prometheusnative', 'Invalid histogram_buckets type for non prometheus stats type'],
    ['/stats/prometheus?histogram_buckets=detailed', 'unsupported prometheus histogram bucket mode'],
    ['/stats?type=gauges', 'invalid &type= param'],
    ['/stats?type=constructor', 'invalid &type= param'],
    ['/stats?format=bogus', 'usage: /stats?format=(html|active-html|json|prometheus|text)\n\n'],
    ['/stats?filter=%5B', 'Invalid re2 regex: missing closing ]: ['],
  ])('%s is refused', async (target, text) => {
    expect(await setUp().get(target)).toMatchObject({ status: 400, text });
  });

  test('the unfiltered exposition ends with the metrics of the process', async () => {
    const { text } = await setUp().get('/stats/prometheus');
    expect(text.endsWith('envoy_h_count{} 1\n# TYPE process_x gauge\nprocess_x 1\n')).toBe(true);
  });

  test('html shows the text, escaped', async () => {
    const client = setUp();
    client.server.thread.counter('a<b>').inc();
    const { text, type } = await client.get('/stats?format=html&filter=%3C');
    expect(type).toBe('text/html; charset=UTF-8');
    expect(text).toContain('<pre>a&lt;b&gt;: 1\n</pre>');
    expect(text).toContain('value="&lt;"');
  });
});
