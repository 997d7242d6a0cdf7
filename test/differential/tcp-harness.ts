import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { ProxyProcess } from '../support/proxy-process.ts';
import type { ScriptedTcpUpstream, TcpScript } from '../support/scripted-tcp-upstream.ts';
import { tcpExchange, type TcpStep } from '../support/tcp-client.ts';

/** One connection (or several, one after the other) that is made to both proxies. */
export interface TcpCase {
  readonly name: string;
  readonly listener: string;
  /** What the upstream does. Default: `echo`. */
  readonly upstream?: TcpScript;
  readonly steps: readonly TcpStep[];
  /** Connections made beforehand and kept open till the end. */
  readonly held?: number;
  readonly timeoutMs?: number;
  /** Left out of the comparison, where timing decides: say in a comment why. */
  readonly ignore?: readonly ('client' | 'end' | 'upstream' | 'log' | 'counters')[];
  /** Patterns of counters that timing decides. */
  readonly ignoreCounters?: RegExp;
}

/** Everything observable of one case, with what differs from run to run replaced by placeholders. */
export interface TcpObservation {
  readonly client: string;
  readonly end: string;
  readonly upstream: readonly string[];
  readonly log: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

const SETTLE_MS = 3_000;
/** Longer than the flush interval of the logs. */
const QUIET_MS = 20;

/** One proxy under comparison. */
export class TcpSubject {
  readonly proxy: ProxyProcess;
  readonly #upstream: ScriptedTcpUpstream;
  readonly #closedPort: number;
  #logLines = 0;

  constructor(proxy: ProxyProcess, upstream: ScriptedTcpUpstream, closedPort: number) {
    this.proxy = proxy;
    this.#upstream = upstream;
    this.#closedPort = closedPort;
  }

  async observe(each: TcpCase, expectedLogLines = 0): Promise<TcpObservation> {
    const port = this.proxy.ports.get(each.listener);
    if (port === undefined) throw new Error(`${this.proxy.name} has no listener ${each.listener}`);
    this.#upstream.take();
    this.#upstream.script = each.upstream ?? 'echo';
    const before = await this.proxy.counters();
    const held: Socket[] = [];
    for (let i = 0; i < (each.held ?? 0); i++) {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write('held');
      held.push(socket);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    const exchange = await tcpExchange(port, each.steps, each.timeoutMs);
    for (const socket of held) socket.destroy();
    const after = await this.#settled(Math.max(expectedLogLines, 1 + held.length));
    const counters: Record<string, number> = {};
    for (const [name, value] of [...after].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const delta = value - (before.get(name) ?? 0);
      if (delta !== 0 && isComparable(name) && each.ignoreCounters?.test(name) !== true)
        counters[this.#normalize(name)] = delta;
    }
    const { bytes, end } = exchange;
    const client = bytes.length > 4096 ? `${bytes.length} bytes` : this.#normalize(bytes.toString('latin1'));
    return {
      client,
      end,
      upstream: this.#upstream.take().map((seen) => this.#normalize(seen)),
      log: this.#newLogLines()
        .map((line) => this.#normalize(line))
        .sort(),
      counters,
    };
  }

  /** The counters once no connection is left and nothing changes any more, log lines included. */
  async #settled(expectedLogLines: number): Promise<Map<string, number>> {
    const deadline = Date.now() + SETTLE_MS;
    let last = '';
    let since = Date.now();
    for (;;) {
      const { stats } = JSON.parse(await this.proxy.admin('/stats?format=json&type=Gauges')) as {
        stats: { name: string; value: number }[];
      };
      const open = stats.some(
        ({ name, value }) =>
          /^(listener\.127.*downstream_cx_active|cluster\..*upstream_cx_active)$/.test(name) && value > 0,
      );
      const counters = await this.proxy.counters();
      const now = [...counters]
        .filter(([name]) => isComparable(name))
        .map(([name, value]) => `${name}=${value}`)
        .concat(String(readLines(join(this.proxy.dir, 'access.log')).length))
        .join();
      const logged = readLines(join(this.proxy.dir, 'access.log')).length - this.#logLines >= expectedLogLines;
      if (now !== last) since = Date.now();
      last = now;
      if ((!open && logged && Date.now() - since > QUIET_MS) || Date.now() > deadline) return counters;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #newLogLines(): string[] {
    const lines = readLines(join(this.proxy.dir, 'access.log'));
    const fresh = lines.slice(this.#logLines);
    this.#logLines = lines.length;
    return fresh;
  }

  #normalize(text: string): string {
    let out = text
      .replaceAll(`127.0.0.1:${this.#upstream.port}`, 'UPSTREAM')
      .replaceAll(new RegExp(`127\\.0\\.0\\.1:${this.#closedPort}\\b`, 'g'), 'CLOSED')
      .replaceAll(/^date: .*$/gim, 'date: DATE')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID');
    for (const [name, port] of this.proxy.ports)
      out = out
        .replaceAll(`127.0.0.1:${port}`, `LISTENER(${name})`)
        .replaceAll(`127.0.0.1_${port}`, `LISTENER(${name})`);
    return out.replaceAll(/127\.0\.0\.1:\d{4,5}/g, '127.0.0.1:PORT');
  }
}

const readLines = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
};

function isComparable(name: string): boolean {
  return (
    /^(tcp\.|http\.(?!admin|async)|cluster\.|listener\.(?!admin)|[\w.]*rbac\.|connection_limit\.|local_rate_limit\.)/.test(
      name,
    ) &&
    !/(_ms$|worker_\d|assignment_|update_|membership_|rx_bytes_total|tx_bytes_total)/.test(name.replace(/^tcp\..*/, ''))
  );
}

export async function startTcpSubject(
  name: string,
  binary: string,
  config: string,
  upstream: ScriptedTcpUpstream,
  closedPort: number,
): Promise<TcpSubject> {
  const text = config.replaceAll('@UPSTREAM@', String(upstream.port)).replaceAll('@CLOSED@', String(closedPort));
  return new TcpSubject(await ProxyProcess.start(name, binary, text), upstream, closedPort);
}
