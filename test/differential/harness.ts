import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { h2Exchange, type H2Step } from '../support/h2-exchange.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { rawExchange, type RawExchange, type RawOptions } from '../support/raw-client.ts';
import type { ScriptedH2Upstream } from '../support/scripted-h2-upstream.ts';
import type { ScriptedUpstream } from '../support/scripted-upstream.ts';

/** One exchange that is sent to both proxies. */
export interface Case extends RawOptions {
  readonly name: string;
  /** The listener that it goes to. */
  readonly listener: string;
  /** Raw request bytes (latin1); `\n` is written as CRLF unless `exact` is set. */
  readonly send: string;
  readonly exact?: boolean;
  /** What an HTTP/2 client does instead of sending `send`; its frames come back as text. */
  readonly h2?: readonly H2Step[];
  /** Leave these out of the comparison, where they depend on timing: give the reason in a comment. */
  readonly ignore?: readonly ('response' | 'upstream' | 'log' | 'counters' | 'end')[];
}

/** Everything observable of one exchange, with what differs from run to run replaced by placeholders. */
export interface Observation {
  readonly response: string;
  readonly end: string;
  readonly upstream: readonly string[];
  readonly log: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

const LOG_WAIT_MS = 400;
/** Longer than the flush interval of the logs. */
const LOG_QUIET_MS = 12;

/** One proxy under comparison. */
export class Subject {
  readonly proxy: ProxyProcess;
  readonly #upstream: ScriptedUpstream;
  readonly #h2Upstream: ScriptedH2Upstream | undefined;
  readonly #closedPort: number;
  #logLines = 0;

  constructor(
    proxy: ProxyProcess,
    upstream: ScriptedUpstream,
    closedPort: number,
    h2Upstream: ScriptedH2Upstream | undefined,
  ) {
    this.#h2Upstream = h2Upstream;
    this.proxy = proxy;
    this.#upstream = upstream;
    this.#closedPort = closedPort;
  }

  async observe({ listener, send, exact, h2, ...options }: Case, expectedLogLines?: number): Promise<Observation> {
    const port = this.proxy.ports.get(listener);
    if (port === undefined) throw new Error(`${this.proxy.name} has no listener ${listener}`);
    this.#upstream.take();
    this.#h2Upstream?.take();
    const before = await this.proxy.counters(true);
    const data = exact === true ? send : send.replaceAll('\n', '\r\n');
    const exchange =
      h2 === undefined ? await rawExchange(port, data, options) : await frames(port, h2, options.timeoutMs);
    const log = await this.#newLogLines(expectedLogLines ?? options.responses ?? 1, expectedLogLines === undefined);
    const after = await this.#settledCounters(before);
    const counters: Record<string, number> = {};
    for (const [name, value] of [...after].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const delta = value - (before.get(name) ?? 0);
      if (delta !== 0 && isComparable(name)) counters[this.#withoutPorts(name)] = delta;
    }
    return {
      response: this.normalize(exchange.bytes.toString('latin1')),
      end: exchange.end,
      upstream: joinTunnelled([...this.#upstream.take(), ...(this.#h2Upstream?.take() ?? [])]).map((request) =>
        this.normalize(request),
      ),
      // Streams that end in the same turn may be logged in any order.
      log: log
        .map((line) => this.normalize(h2 === undefined ? withoutTimeDigits(line, exchange.bytes) : withoutSizes(line)))
        .sort(),
      counters,
    };
  }

  /** The counters once the proxy has noticed that the connections are gone that came after `before`. */
  async #settledCounters(before: ReadonlyMap<string, number>): Promise<Map<string, number>> {
    const open = (counters: ReadonlyMap<string, number>): number => {
      let sum = 0;
      for (const [name, value] of counters) {
        if (/^listener\.127[^w]*\.downstream_cx_total$/.test(name)) sum += value;
        else if (/^listener\.127[^w]*\.downstream_cx_destroy$/.test(name)) sum -= value;
      }
      return sum;
    };
    const deadline = Date.now() + LOG_WAIT_MS;
    let last = '';
    for (;;) {
      const after = await this.proxy.counters(true);
      // Twice the same: whatever followed from the end of the exchange has been counted.
      const now = JSON.stringify([...after].filter(([name]) => isComparable(name)));
      if ((open(after) <= open(before) && now === last) || Date.now() > deadline) return after;
      last = now;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The lines that the access log has got since the last call; waits for `expected` of them, `more` may follow soon. */
  async #newLogLines(expected: number, more: boolean): Promise<string[]> {
    const deadline = Date.now() + (expected === 0 ? 30 : LOG_WAIT_MS);
    let quietSince = Date.now();
    let seen = -1;
    for (;;) {
      const lines = readLines(join(this.proxy.dir, 'access.log'));
      const fresh = lines.length - this.#logLines;
      if (fresh !== seen) quietSince = Date.now();
      seen = fresh;
      const enough = fresh > 0 && fresh >= expected && (!more || Date.now() - quietSince > LOG_QUIET_MS);
      if (enough || Date.now() > deadline) {
        this.#logLines = lines.length;
        return lines.slice(lines.length - fresh);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Replaces what can't be the same in two runs. */
  normalize(text: string): string {
    return (
      this.#withoutPorts(text)
        .replaceAll(/^date: .*$/gim, 'date: DATE')
        .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
        // Cookies of hash policies hold a hash of the connection's addresses.
        .replaceAll(/="[0-9a-f]{16}"/g, '="HASH"')
        .replaceAll(/^(x-envoy-upstream-service-time): \d+/gim, '$1: N')
        // The time that is left of 15 s when an attempt after the first begins.
        .replaceAll(/^(x-envoy-expected-rq-timeout-ms): 149\d\d/gim, '$1: 15000')
        .replaceAll(
          new RegExp(`^(x-forwarded-port): (${[...this.proxy.ports.values()].join('|')})`, 'gim'),
          '$1: LISTENER',
        )
    );
  }

  #withoutPorts(text: string): string {
    let out = text
      .replaceAll(`127.0.0.1:${this.#h2Upstream?.port}`, 'UPSTREAM2')
      .replaceAll(`127.0.0.1:${this.#upstream.port}`, 'UPSTREAM')
      .replaceAll(`127.0.0.1:${this.#closedPort}`, 'CLOSED');
    for (const [name, port] of this.proxy.ports)
      out = out
        .replaceAll(`127.0.0.1:${port}`, `LISTENER(${name})`)
        .replaceAll(`127.0.0.1_${port}`, `LISTENER(${name})`);
    return out.replaceAll(/127\.0\.0\.1:\d{4,5}/g, '127.0.0.1:PORT');
  }
}

/** Byte counts of a response vary with the digits of its x-envoy-upstream-service-time: counts one digit. */
function withoutTimeDigits(line: string, response: Buffer): string {
  const digits = /\r\nx-envoy-upstream-service-time: (\d+)/.exec(response.toString('latin1'))?.[1]?.length ?? 1;
  return line.replaceAll(
    /(RESPONSE_HEADERS_BYTES|DOWNSTREAM_WIRE_BYTES_SENT)=(\d+)/g,
    (_, name: string, bytes: string) => `${name}=${Number(bytes) - digits + 1}`,
  );
}

const TUNNELLED = 'tunnelled ';

/** Bytes in a tunnel have no borders: what came in several reads is one. */
function joinTunnelled(entries: readonly string[]): string[] {
  const joined: string[] = [];
  for (const entry of entries) {
    const last = joined.length - 1;
    if (entry.startsWith(TUNNELLED) && joined[last]?.startsWith(TUNNELLED) === true)
      joined[last] += entry.slice(TUNNELLED.length);
    else joined.push(entry);
  }
  return joined;
}

/** Header blocks are compressed in more than one way. */
const withoutSizes = (line: string): string =>
  line.replaceAll(/(RESPONSE_HEADERS_BYTES|DOWNSTREAM_WIRE_BYTES_SENT)=\d+/g, '$1=N');

async function frames(port: number, steps: readonly H2Step[], timeoutMs?: number): Promise<RawExchange> {
  const { lines, end } = await h2Exchange(port, steps, timeoutMs);
  // Of a client that breaks the rules Envoy takes leave without a word, where RFC 9113 wants GOAWAY with the error.
  const refused = /^GOAWAY \d+ (?!NO_ERROR)/.test(lines.at(-1) ?? '');
  const bytes = Buffer.from((refused ? lines.slice(0, -1) : lines).join('\n'), 'latin1');
  return { bytes, end: end === 'reset' ? 'closed' : end };
}

const readLines = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
};

/** Counters that tell of the exchange; not of the admin requests that read them, of time, or of the process. */
function isComparable(name: string): boolean {
  return (
    /^(http\.(?!admin|async)|cluster\.|listener\.(?!admin)|vhost\.|http1\.)/.test(name) &&
    !/(_bytes_total|_ms$|connect_attempts|upstream_cx_|flow_control|worker_\d|assignment_|update_)/.test(name)
  );
}

/** Starts `binary` with the shared config. */
export async function startSubject(
  name: string,
  binary: string,
  config: string,
  upstream: ScriptedUpstream,
  closedPort: number,
  h2Upstream?: ScriptedH2Upstream,
): Promise<Subject> {
  const text = config
    .replaceAll('@UPSTREAM@', String(upstream.port))
    .replaceAll('@UPSTREAM2@', String(h2Upstream?.port ?? closedPort))
    .replaceAll('@CLOSED@', String(closedPort));
  return new Subject(await ProxyProcess.start(name, binary, text), upstream, closedPort, h2Upstream);
}
