// A soak: traffic through a proxy process whose config changes every second (clusters, endpoints, routes, listeners,
// secrets in turn, over delta ADS from examples/xds-server). Prints a row every few seconds: RSS, requests, failures,
// latency. Exits with 1 if a request failed or a change was refused.
//
// Much less than 500 ms between changes leaves clients too little time to learn of the listener that comes and goes.
//
//   node bench/scale/soak.ts [--minutes 10] [--every 1000] [--rows 30] [--proxy bin/outrigger] [--concurrency 2]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { XdsServer } from '../../examples/xds-server/xds-server.ts';
import { adsBootstrap } from '../../test/support/ads-config.ts';
import { CertificateAuthority } from '../../test/support/certificates.ts';
import { processCost } from '../../test/support/process-cost.ts';
import { OUTRIGGER, ProxyProcess } from '../../test/support/proxy-process.ts';
import { SoakConfig } from './soak-config.ts';
import type { TrafficCommand, TrafficReport } from './soak-traffic.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    /** Between changes, ms. */
    every: { type: 'string', default: '1000' },
    /** Seconds of a row. */
    rows: { type: 'string', default: '30' },
    proxy: { type: 'string', default: OUTRIGGER },
    concurrency: { type: 'string', default: '2' },
  },
});
const rowMs = Number(values.rows) * 1000;
/** Connections of what was replaced are ended within the run. */
const DRAIN_SECONDS = '5';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Below the range that the system takes ports for outgoing connections from. */
async function listenerPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** The thread with clients and upstreams. */
class Traffic {
  readonly #worker: Worker;

  constructor(data: unknown) {
    this.#worker = new Worker(new URL('soak-traffic.ts', import.meta.url), { workerData: data });
    this.#worker.on('error', (error) => {
      throw error;
    });
  }

  next<T extends TrafficReport>(): Promise<T> {
    return new Promise((resolve) => this.#worker.once('message', resolve));
  }

  tell(command: TrafficCommand): void {
    this.#worker.postMessage(command);
  }

  end(): Promise<number> {
    return this.#worker.terminate();
  }
}

type Sample = Extract<TrafficReport, { requests: number }>;

const directory = mkdtempSync(join(tmpdir(), 'soak-'));
const folder = join(directory, 'resources');
mkdirSync(folder);
const ca = CertificateAuthority.create({ commonName: 'soak root' });
const { chain, key } = ca.issue({ dns: ['localhost'] });
const traffic = new Traffic({ root: ca.certificate, upstream: { cert: chain, key } });
const { ports: upstreams } = await traffic.next<Extract<TrafficReport, { ports: unknown }>>();
const listeners = { main: await listenerPort(), secure: await listenerPort(), extra: await listenerPort() };
const config = new SoakConfig(folder, ca, { ...upstreams, ...listeners });
const refused: string[] = [];
const server = await XdsServer.start({
  folder,
  address: '127.0.0.1:0',
  log: (line) => {
    if (!line.includes(' <- ')) refused.push(line);
  },
});
const bootstrap = adsBootstrap(server.port, { delta: true });
const proxy = await ProxyProcess.start('soak', values.proxy, JSON.stringify(bootstrap), [
  '--concurrency',
  values.concurrency,
  '--drain-time-s',
  DRAIN_SECONDS,
]);

let failed = 0;
let changes = 0;
let stepping: NodeJS.Timeout | undefined;
try {
  traffic.tell({ start: listeners });
  stepping = setInterval(() => {
    // A listener isn't asked any more just before it goes, and not until it has come.
    const { kind, phase, extra } = config.peek();
    if (!extra) traffic.tell({ step: `before ${kind} ${phase}`, extra: false });
    setTimeout(
      () => {
        config.next();
        changes++;
        setTimeout(() => traffic.tell({ step: `${kind} ${phase}`, extra }), Number(values.every) / 2);
      },
      Number(values.every) / 10,
    );
  }, Number(values.every));

  console.log('| time    | RSS     | requests/s | failed | p50      | p99      | max      | changes |');
  console.log('| ------- | ------- | ---------- | ------ | -------- | -------- | -------- | ------- |');
  const started = performance.now();
  let last = started;
  let sample: Sample | undefined;
  let total = 0;
  while (performance.now() - started < Number(values.minutes) * 60_000) {
    await sleep(rowMs);
    traffic.tell({ sample: true });
    sample = await traffic.next<Sample>();
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    total += sample.requests;
    failed += sample.failures.length;
    const row = [
      `${((now - started) / 1000).toFixed(0)} s`.padEnd(7),
      `${processCost(proxy.pid).rssMiB.toFixed(0)} MiB`.padEnd(7),
      (sample.requests / seconds).toFixed(0).padEnd(10),
      String(sample.failures.length).padEnd(6),
      ...[sample.p50, sample.p99, sample.max].map((ms) => `${ms.toFixed(1)} ms`.padEnd(8)),
      String(changes).padEnd(7),
    ];
    console.log(`| ${row.join(' | ')} |`);
    for (const line of sample.failures.slice(0, 10)) console.log(`  ${line}`);
  }
  clearInterval(stepping);
  const counters = await proxy.counters(true);
  const count = (pattern: RegExp): number =>
    [...counters].reduce((sum, [name, value]) => (pattern.test(name) ? sum + value : sum), 0);
  console.log(
    [
      `${total} requests, ${failed} failed; ${changes} changes, ${refused.length} refused`,
      `seen by clients: ${sample?.rounds} of ${config.rounds} versions of the routes, ${sample?.serverCertificates} server certificates, ` +
        `${sample?.clientCertificates} client certificates; ${sample?.extraRequests} requests to listeners that came and went; ` +
        `${sample?.unsent} requests kept back by the client at a GOAWAY`,
      `counters: update_success ${count(/update_success$/)}, update_rejected ${count(/update_rejected$/)}, ` +
        `cluster_added ${count(/\.cluster_added$/)}, listener_added ${count(/\.listener_added$/)}, ` +
        `listener_modified ${count(/\.listener_modified$/)}, listener_in_place_updated ${count(/\.listener_in_place_updated$/)}`,
      ...new Set(refused),
    ].join('\n'),
  );
  if (proxy.output !== '') console.log(`The proxy said:\n${proxy.output.slice(0, 4000)}`);
} finally {
  clearInterval(stepping);
  traffic.tell({ stop: true });
  await sleep(500);
  await traffic.end();
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
}
process.exitCode = failed > 0 || refused.length > 0 ? 1 : 0;
