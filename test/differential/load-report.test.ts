import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { loadReportConfig, REPORTED, reportedLoads } from '../support/load-report-config.ts';
import { LrsServer } from '../support/lrs-server.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { findTool } from '../support/tools.ts';

const envoyBinary = findTool('envoy');

/** What one proxy says of the same requests, in the first report behind them and in the next. */
async function loadsOf(name: string, binary: string) {
  await using upstream = await ScriptedUpstream.start();
  await using lrs = await LrsServer.start();
  await using proxy = await ProxyProcess.start(name, binary, JSON.stringify(loadReportConfig(lrs.port, upstream.port)));
  await eventually('the introduction', () => lrs.reports.length === 1);
  // Long enough for the requests to be in one report.
  const second = { loadReportingInterval: { seconds: 1n }, reportEndpointGranularity: true };
  lrs.ask({ sendAllClusters: true, ...second });
  await eventually('the answer to be read', async () =>
    (await proxy.admin('/stats?filter=load_reporter.requests')).includes(': 1'),
  );
  const statuses: number[] = [];
  for (const path of ['ok', ...REPORTED])
    statuses.push((await fetch(`http://127.0.0.1:${proxy.ports.get('ingress')!}/${path}`)).status);
  await eventually('two reports', () => lrs.reports.length >= 3);
  lrs.endStreams();
  const stats = await proxy.admin('/stats?filter=load_reporter');
  return { statuses, stats, features: lrs.reports[0]!.node!.clientFeatures, loads: lrs.reports.map(reportedLoads) };
}

test.skipIf(envoyBinary === undefined)('load reports are those of Envoy', async () => {
  const [envoy, outrigger] = await Promise.all([loadsOf('envoy', envoyBinary!), loadsOf('outrigger', OUTRIGGER)]);
  expect(JSON.stringify(envoy.loads)).toContain('"droppedCount":"1"');
  expect(outrigger).toEqual(envoy);
});
