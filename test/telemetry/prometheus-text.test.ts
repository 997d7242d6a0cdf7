import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { compareStatNames } from '../../src/telemetry/prometheus-index.ts';
import { renderPrometheus, type PrometheusSelection } from '../../src/telemetry/prometheus-text.ts';
import { StatsAggregator } from '../../src/telemetry/stats/aggregator.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';

const EVERYTHING: PrometheusSelection = {
  usedOnly: false,
  textReadouts: false,
  histograms: 'cumulative',
  matches: undefined,
};

const setUp = (customNamespaces: readonly string[] = []): { stats: StatsAggregator; thread: ThreadStats } => {
  const stats = new StatsAggregator({ clock: systemClock, customNamespaces });
  const thread = new ThreadStats();
  stats.addLocal(0, thread);
  return { stats, thread };
};

const render = (stats: StatsAggregator, selection: Partial<PrometheusSelection> = {}): string =>
  [...renderPrometheus(stats, { ...EVERYTHING, ...selection })].join('');

describe('the exposition', () => {
  test('has one group a metric, counters first, each ordered by the steps of the stat name', () => {
    const { stats, thread } = setUp();
    thread.counter('cluster.b.retry_or_shadow_abandoned').add(1);
    thread.counter('cluster.b.upstream_rq_503').add(2);
    thread.counter('cluster.b.retry.upstream_rq_503').add(3);
    thread.counter('cluster.a.upstream_rq_503').add(4);
    thread.counter('cluster.a.upstream_rq_200').add(5);
    thread.gauge('server.live').set(1);
    expect(render(stats)).toBe(`# TYPE envoy_cluster_retry_upstream_rq counter
envoy_cluster_retry_upstream_rq{envoy_response_code="503",envoy_cluster_name="b"} 3
# TYPE envoy_cluster_retry_or_shadow_abandoned counter
envoy_cluster_retry_or_shadow_abandoned{envoy_cluster_name="b"} 1
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="a"} 5
envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="a"} 4
envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="b"} 2
# TYPE envoy_server_live gauge
envoy_server_live{} 1
`);
  });

  test('keeps its order when stats come and go between scrapes', () => {
    const { stats, thread } = setUp();
    for (const name of ['m', 'c', 'x']) thread.scope(`cluster.${name}`).counter('n').inc();
    render(stats);
    thread.counter('cluster.a.n').inc();
    const gone = thread.scope('cluster.d');
    gone.counter('n').inc();
    expect([...render(stats).matchAll(/name="(.)"/g)].map(([, name]) => name).join('')).toBe('acdmx');
    gone.release();
    expect([...render(stats).matchAll(/name="(.)"/g)].map(([, name]) => name).join('')).toBe('acmx');
  });

  test('histograms: buckets with exact bounds, sum and count, as Envoy prints them', () => {
    const { stats, thread } = setUp();
    const histogram = thread.histogram('http.in.downstream_rq_time', 'milliseconds');
    for (const value of [0, 0, 2, 2, 2, 10, 21, 120]) histogram.record(value);
    stats.flushSync();
    const lines = render(stats).split('\n');
    expect(lines[0]).toBe('# TYPE envoy_http_downstream_rq_time histogram');
    expect(lines[1]).toBe('envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="in",le="0.5"} 2');
    expect(lines[8]).toBe('envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="in",le="250"} 8');
    expect(lines.slice(-4)).toEqual([
      'envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="in",le="+Inf"} 8',
      'envoy_http_downstream_rq_time_sum{envoy_http_conn_manager_prefix="in"} 162.91090403262836616704589687288',
      'envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="in"} 8',
      '',
    ]);
    stats.flushSync();
    expect(render(stats, { histograms: 'summary' })).toContain(
      'envoy_http_downstream_rq_time{envoy_http_conn_manager_prefix="in",quantile="0.5"} nan\n',
    );
  });

  test('percent histograms are shown as parts of one', () => {
    const { stats, thread } = setUp();
    thread.histogram('p', 'percent').record(500_000);
    stats.flushSync();
    expect(render(stats)).toMatch(/le="0.5"\} 1\n/);
    expect(render(stats)).toMatch(/_sum\{\} 0\.50/);
  });

  test('usedonly, filter, text readouts, custom namespaces, label escapes', () => {
    const { stats, thread } = setUp(['istiocustom']);
    thread.counter('istiocustom.istio_requests_total').inc();
    thread.counter('cluster.a"\\b.n').inc();
    thread.counter('unused');
    thread.histogram('silent', 'bytes');
    thread.textReadout('cluster.a.version_text').set('v1');
    const text = render(stats, { usedOnly: true, textReadouts: true });
    expect(text).toBe(
      `# TYPE envoy_cluster_n counter\nenvoy_cluster_n{envoy_cluster_name="a\\"\\\\b"} 1\n` +
        '# TYPE istio_requests_total counter\nistio_requests_total{} 1\n' +
        '# TYPE envoy_cluster_version_text gauge\n' +
        'envoy_cluster_version_text{envoy_cluster_name="a",text_value="v1"} 0\n',
    );
    expect(render(stats, { matches: (name) => name === 'unused' })).toBe(
      '# TYPE envoy_unused counter\nenvoy_unused{} 0\n',
    );
  });

  test('one name counted in several places is one series', () => {
    const { stats, thread } = setUp();
    const other = new ThreadStats();
    stats.addLocal(1, other);
    thread.counter('a').inc();
    other.counter('a').add(2);
    expect(render(stats)).toBe('# TYPE envoy_a counter\nenvoy_a{} 3\n');
  });

  test('comes in many small pieces', () => {
    const { stats, thread } = setUp();
    for (let i = 0; i < 2000; i++) thread.counter(`cluster.c${i}.n`);
    for (const piece of renderPrometheus(stats, EVERYTHING)) expect(piece.length).toBeLessThan(20_000);
  });
});

test('names compare step by step', () => {
  const names = ['a.b', 'a_b', 'a', 'a.b.c', 'a-b', 'a.bc'];
  expect(names.toSorted(compareStatNames)).toEqual(['a', 'a.b', 'a.b.c', 'a.bc', 'a-b', 'a_b']);
});
