/**
 * What counting costs, and what a scrape of 100,000 series costs and how long it holds the event loop at most.
 * `node bench/micro/stats.ts [series]`
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '../../src/lib/clock.ts';
import { renderPrometheus } from '../../src/telemetry/prometheus-text.ts';
import { StatsAggregator } from '../../src/telemetry/stats/aggregator.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { defineStats } from '../../src/telemetry/stats/stats.ts';
import { renderStatsText } from '../../src/telemetry/stats/stats-text.ts';

const SERIES = Number(process.argv[2] ?? 100_000);
/** As the admin server has it. */
const BUDGET_MS = 4;
const COUNTERS = Array.from({ length: 80 }, (_, i) => `upstream_counter_${i}`);
const GAUGES = Array.from({ length: 17 }, (_, i) => `upstream_gauge_${i}`);
const FAMILY = defineStats({ counters: COUNTERS, gauges: GAUGES, histograms: { upstream_rq_time: 'milliseconds' } });

const thread = new ThreadStats();
const block = thread.block(FAMILY, 'cluster.bench');
const counter = thread.counter('cluster.bench.counter');
const at = FAMILY.at['upstream_counter_40']!;
const time = FAMILY.at.upstream_rq_time!;

measure('block.inc', () => block.inc(at));
measure('block.add', () => block.add(at, 128));
measure('cells[base + at]++', () => block.cells[block.base + at]!++);
measure('counter.inc', () => counter.inc());
let value = 0;
measure('block.record', () => block.record(time, (value = (value + 37) % 5000)));

function measure(name: string, body: () => void): void {
  const rounds = 20_000_000;
  let best = Infinity;
  for (let attempt = 0; attempt < 4; attempt++) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) body();
    best = Math.min(best, ((performance.now() - start) * 1e6) / rounds);
  }
  console.log(`${name.padEnd(22)} ${best.toFixed(2)} ns`);
}

const stats = new StatsAggregator({ clock: systemClock });
const clusters = Math.ceil(SERIES / (COUNTERS.length + GAUGES.length));
const threads = [new ThreadStats(), new ThreadStats()];
for (const [i, worker] of threads.entries()) {
  stats.addLocal(i, worker);
  for (let c = 0; c < clusters; c++) {
    const cluster = worker.block(FAMILY, `cluster.outbound|8080||service-${c}.default.svc.cluster.local`);
    for (let n = 0; n < 20; n++) cluster.record(time, n * 13);
  }
}
const before = process.memoryUsage().rss;
stats.pull();
console.log(
  `\n${clusters} clusters x ${COUNTERS.length + GAUGES.length} series and a histogram, ${threads.length} threads`,
);
await time1('flush of the histograms', () => stats.flush().then(() => 0));
for (const round of ['first', 'second', 'third']) {
  const all = { usedOnly: false, textReadouts: false, histograms: 'cumulative', matches: undefined } as const;
  await time1(`prometheus, ${round} scrape`, () => drain(renderPrometheus(stats, all)));
}
await time1('text', () =>
  drain(renderStatsText(stats, { usedOnly: false, kind: 'all', matches: undefined }, 'summary')),
);
console.log(`memory for reading: ${((process.memoryUsage().rss - before) / 2 ** 20).toFixed(0)} MiB`);

async function drain(pieces: Generator<string, void, void>): Promise<number> {
  let bytes = 0;
  let turn = performance.now();
  for (const piece of pieces) {
    bytes += piece.length;
    if (performance.now() - turn < BUDGET_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turn = performance.now();
  }
  return bytes;
}

async function time1(name: string, body: () => Promise<number>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const bytes = await body();
  const elapsed = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  console.log(
    `${name.padEnd(26)} ${elapsed.toFixed(0)} ms, ${(bytes / 2 ** 20).toFixed(1)} MiB, longest stall ${(delay.max / 1e6).toFixed(1)} ms`,
  );
}
