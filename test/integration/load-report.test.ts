import { expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { loadReportConfig, REPORTED, reportedLoads } from '../support/load-report-config.ts';
import { LrsServer } from '../support/lrs-server.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

test('tells a load-reporting server where requests went, and which were dropped', async () => {
  await using upstream = await ScriptedUpstream.start();
  await using lrs = await LrsServer.start({ sendAllClusters: true, loadReportingInterval: { nanos: 50_000_000 } });
  await using proxy = await createProxy({ config: loadReportConfig(lrs.port, upstream.port), concurrency: 1 });
  await eventually('the first report', () => lrs.reports.length > 1);
  for (const name of REPORTED) await fetch(`http://127.0.0.1:${proxy.port('ingress')}/${name}`);
  const locality = { locality: { region: 'r', zone: 'z' } };
  await eventually('all of it', () => {
    const reports = JSON.stringify(lrs.reports.map(reportedLoads));
    const loads = Object.fromEntries(
      REPORTED.map((name) => [
        name,
        lrs.reports.map((report) => reportedLoads(report)?.[name]).find((each) => each && Object.keys(each).length > 0),
      ]),
    );
    if (Object.values(loads).some((each) => each === undefined)) return false;
    expect(loads).toEqual({
      ok: { upstreamLocalityStats: [{ ...locality, totalSuccessfulRequests: '1', totalIssuedRequests: '1' }] },
      overflowing: { totalDroppedRequests: '1', upstreamLocalityStats: [{ ...locality, totalErrorRequests: '1' }] },
      dropping: { totalDroppedRequests: '1', droppedRequests: [{ category: 'too much', droppedCount: '1' }] },
      maintained: { totalDroppedRequests: '1' },
      dead: { upstreamLocalityStats: [{ ...locality, totalErrorRequests: '1' }] },
    });
    // Each is reported once.
    expect(reports.split('"totalErrorRequests"')).toHaveLength(3);
    return true;
  });
  expect(lrs.reports[0]).toMatchObject({
    node: { id: 'n', clientFeatures: ['mine', 'envoy.lrs.supports_send_all_clusters'] },
  });
  expect(proxy.stat('load_reporter.requests')).toBe(1);
  expect(proxy.stat('load_reporter.responses')).toBeGreaterThan(2);
  lrs.ask({ clusters: ['dead', 'nope'], loadReportingInterval: { nanos: 50_000_000 } });
  await eventually('only what is asked for', () => {
    const { clusterStats } = lrs.reports.at(-1)!;
    return clusterStats.length === 1 && clusterStats[0]!.clusterName === 'dead';
  });
});
