import { Resolver } from 'node:dns/promises';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { defineStats, type StatBlock } from '../../../telemetry/stats/stats.ts';
import type { DnsAnswer, DnsRecord, DnsResolver } from './dns-resolver.ts';

/** `dns.cares.`: Node asks through c-ares, as Envoy does. */
export const DNS_STATS = defineStats({
  counters: ['get_addr_failure', 'not_found', 'reinits', 'resolve_total', 'timeouts'],
  gauges: ['pending_resolutions'],
});

/** Answers that are certain: the name is not there, or has no such address. */
const EMPTY = new Set(['ENOTFOUND', 'ENODATA']);

/** The hosts file first, then DNS with TTLs. */
export class NodeDnsResolver implements DnsResolver {
  readonly #resolver = new Resolver();
  readonly #hosts: HostsFile;
  readonly #stats: StatBlock;

  constructor(servers: readonly string[], hosts: HostsFile, stats: StatBlock) {
    if (servers.length > 0) this.#resolver.setServers(servers);
    this.#hosts = hosts;
    this.#stats = stats;
  }

  async resolve(name: string, family: 4 | 6): Promise<DnsAnswer> {
    if (isIP(name) !== 0)
      return { kind: 'found', records: isIP(name) === family ? [{ address: name, ttlMs: undefined }] : [] };
    const { at } = DNS_STATS;
    this.#stats.inc(at.resolve_total);
    const known = await this.#hosts.addresses(name);
    if (known.length > 0) return { kind: 'found', records: recordsOf(known.filter((ip) => isIP(ip) === family)) };
    this.#stats.inc(at.pending_resolutions);
    try {
      const found =
        family === 4
          ? await this.#resolver.resolve4(name, { ttl: true })
          : await this.#resolver.resolve6(name, { ttl: true });
      return { kind: 'found', records: found.map(({ address, ttl }) => ({ address, ttlMs: ttl * 1000 })) };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      if (EMPTY.has(code)) {
        this.#stats.inc(at.not_found);
        return { kind: 'found', records: [] };
      }
      this.#stats.inc(code === 'ETIMEOUT' ? at.timeouts : at.get_addr_failure);
      return { kind: 'failed', reason: code };
    } finally {
      this.#stats.dec(at.pending_resolutions);
    }
  }
}

const recordsOf = (addresses: readonly string[]): DnsRecord[] =>
  addresses.map((address) => ({ address, ttlMs: undefined }));

const LOOPBACK: readonly string[] = ['::1', '127.0.0.1'];

/** The names of /etc/hosts; read again when the file has changed. */
export class HostsFile {
  readonly #path: string;
  #read = -1;
  #names: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(path = '/etc/hosts') {
    this.#path = path;
  }

  /** Empty: the file doesn't have the name. */
  async addresses(name: string): Promise<readonly string[]> {
    const wanted = name.toLowerCase().replace(/\.$/, '');
    try {
      const { mtimeMs } = await stat(this.#path);
      if (mtimeMs !== this.#read) {
        this.#names = parseHosts(await readFile(this.#path, 'utf8'));
        this.#read = mtimeMs;
      }
    } catch {
      // No file, no names.
    }
    const found = this.#names.get(wanted) ?? [];
    if (wanted !== 'localhost' && !wanted.endsWith('.localhost')) return found;
    // RFC 6761 section 6.3: never ask the network for these. A family that the file leaves out is there all the same.
    const missing = LOOPBACK.filter((ip) => !found.some((other) => isIP(other) === isIP(ip)));
    return [...found, ...missing];
  }
}

export function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...rest] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || isIP(address) === 0) continue;
    for (const name of rest) {
      const key = name.toLowerCase();
      const list = names.get(key);
      if (list === undefined) names.set(key, [address]);
      else if (!list.includes(address)) list.push(address);
    }
  }
  return names;
}
