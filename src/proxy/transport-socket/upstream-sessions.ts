import type { X509Certificate } from 'node:crypto';

/** A session that can be resumed, and with whom: the library has no certificate of a resumed one. */
export interface UpstreamSession {
  readonly session: Buffer;
  readonly peer: X509Certificate | undefined;
}

/** Hosts of which sessions are kept: those used last. */
const MAX_HOSTS = 1024;

/** TLS sessions of one cluster that its next connections may resume, by host (and what else has to be the same). */
export class UpstreamSessions {
  readonly #perHost: number;
  readonly #hosts = new Map<string, UpstreamSession[]>();

  constructor(perHost: number) {
    this.#perHost = perHost;
  }

  get isEnabled(): boolean {
    return this.#perHost > 0;
  }

  /** The newest one, which is given out once: a session of TLS 1.3 must not be resumed twice (RFC 8446 appendix C.4). */
  take(host: string): UpstreamSession | undefined {
    return this.#hosts.get(host)?.pop();
  }

  put(host: string, session: UpstreamSession): void {
    const known = this.#hosts.get(host);
    if (known === undefined) {
      if (this.#hosts.size >= MAX_HOSTS) this.#hosts.delete(this.#hosts.keys().next().value!);
      this.#hosts.set(host, [session]);
      return;
    }
    known.push(session);
    if (known.length > this.#perHost) known.shift();
  }

  clear(): void {
    this.#hosts.clear();
  }
}
