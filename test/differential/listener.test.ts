import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { rawExchange } from '../support/raw-client.ts';
import { findTool } from '../support/tools.ts';
import { cases, DIFFERENCES, listeners, type ConnectionCase } from './cases/listener.ts';

const FIELDS = [
  'LISTENER_NAME',
  'FILTER_CHAIN_NAME',
  'RESPONSE_FLAGS',
  'RESPONSE_CODE_DETAILS',
  'CONNECTION_TERMINATION_DETAILS',
  'REQUESTED_SERVER_NAME',
  'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  'TLS_JA3_FINGERPRINT',
  'TLS_JA4_FINGERPRINT',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS',
  'DYNAMIC_METADATA(envoy.filters.listener.tls_inspector)',
  'DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol)',
  'DYNAMIC_METADATA(mine)',
  'BYTES_RECEIVED',
  'BYTES_SENT',
];
const LOG = [
  {
    name: 'log',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: '@DIR@/access.log',
      log_format: {
        text_format_source: { inline_string: `${FIELDS.map((field) => `${field}=%${field}%`).join(' ')}\n` },
      },
    },
  },
];
const WAIT_MS = 600;

const config = JSON.stringify({
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
  static_resources: {
    listeners: Object.entries(listeners).map(([name, fields]) => ({
      name,
      stat_prefix: name,
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      access_log: LOG,
      ...fields,
    })),
  },
});

/** What is comparable of one connection. */
interface Observation {
  readonly received: string;
  readonly log: string;
  readonly counters: Readonly<Record<string, number>>;
}

class Subject {
  readonly proxy: ProxyProcess;
  #lines = 0;

  constructor(proxy: ProxyProcess) {
    this.proxy = proxy;
  }

  async observe({ listener, send, waitMs }: ConnectionCase, wanted?: Observation): Promise<Observation> {
    const before = await this.proxy.counters();
    const [first = '', ...pieces] = send;
    const { bytes } = await rawExchange(this.proxy.ports.get(listener)!, first, { pieces, timeoutMs: waitMs ?? 1000 });
    const log = await this.#nextLine();
    const deadline = Date.now() + WAIT_MS;
    let counters = await this.#counted(before);
    // Counters follow the log; those of Envoy have no signal that they are complete.
    for (;;) {
      const again = await this.#counted(before);
      const settled = JSON.stringify(again) === JSON.stringify(wanted?.counters ?? counters);
      counters = again;
      if (settled || Date.now() > deadline) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { received: bytes.toString('latin1'), log: this.#withoutPorts(log), counters };
  }

  async #counted(before: ReadonlyMap<string, number>): Promise<Record<string, number>> {
    const counters: Record<string, number> = {};
    for (const [name, value] of [...(await this.proxy.counters())].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const delta = value - (before.get(name) ?? 0);
      const isComparable = /inspector|proxy_proto|listener_local_ratelimit|^listener\.(?!admin)/.test(name);
      if (delta !== 0 && isComparable && !/worker_\d/.test(name)) counters[name] = delta;
    }
    return counters;
  }

  async #nextLine(): Promise<string> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const lines = readLines(join(this.proxy.dir, 'access.log'));
      if (lines.length > this.#lines || Date.now() > deadline) {
        const fresh = lines.slice(this.#lines);
        this.#lines = lines.length;
        return fresh.join('\n');
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #withoutPorts(text: string): string {
    let out = text;
    for (const [name, port] of this.proxy.ports) out = out.replaceAll(`127.0.0.1:${port}`, `LISTENER(${name})`);
    return out.replaceAll(/127\.0\.0\.1:\d{4,5}/g, '127.0.0.1:PORT');
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

const envoyBinary = findTool('envoy');

describe.skipIf(envoyBinary === undefined)('listener filters and filter chains', () => {
  let envoy: Subject;
  let outrigger: Subject;

  beforeAll(async () => {
    [envoy, outrigger] = (await Promise.all(
      [['envoy', envoyBinary!] as const, ['outrigger', OUTRIGGER] as const].map(
        async ([name, binary]) => new Subject(await ProxyProcess.start(name, binary, config)),
      ),
    )) as [Subject, Subject];
  });
  afterAll(async () => {
    await envoy?.proxy[Symbol.asyncDispose]();
    await outrigger?.proxy[Symbol.asyncDispose]();
  });

  test.each(cases.map((each) => [each.name, each] as const))('%s', async (name, each) => {
    const theirs = await envoy.observe(each);
    const ours = await outrigger.observe(each, theirs);
    const reason = DIFFERENCES[name];
    if (reason === undefined) expect(ours).toEqual(theirs);
    else expect(ours, `no longer different: ${reason}`).not.toEqual(theirs);
  });
});
