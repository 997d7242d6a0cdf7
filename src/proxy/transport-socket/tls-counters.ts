import { TLS_SOCKET_FACTORY_STATS, TLS_STATS } from '../../telemetry/stats/tls-stats.ts';
import { DISCOVERED_SECRET } from '../../config/secret-model.ts';
import type { Counter, StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import type { TlsEnvironment } from './tls-environment.ts';

export type HandshakeFailureStat =
  'connection_error' | 'fail_verify_cert_hash' | 'fail_verify_error' | 'fail_verify_no_cert' | 'fail_verify_san';

/** What one TLS context counts: the `ssl.` family, and that of its socket factory. */
export class TlsCounters {
  readonly block: StatBlock;
  readonly factory: StatBlock;
  readonly #scope: StatsScope;
  /** By name below `ssl.`: there are as many as there are ciphers, versions and groups. */
  readonly #named = new Map<string, Counter>();

  /** `scope`: the listener's, or the cluster's. */
  constructor(scope: StatsScope, side: 'server' | 'client') {
    this.#scope = scope;
    this.block = scope.block(TLS_STATS, 'ssl.');
    this.factory = scope.block(TLS_SOCKET_FACTORY_STATS, `${side}_ssl_socket_factory.`);
  }

  /** `group`: '' = not known. */
  handshakeDone(version: string, cipher: string, group: string, reused: boolean, peerPresented: boolean): void {
    const { block } = this;
    block.inc(TLS_STATS.at.handshake);
    if (reused) block.inc(TLS_STATS.at.session_reused);
    if (!peerPresented) block.inc(TLS_STATS.at.no_certificate);
    this.#count('ciphers.', cipher);
    this.#count('versions.', version);
    if (group !== '') this.#count('curves.', group);
  }

  /**
   * Secrets came, those that were there already when the context was made among them. As in Envoy it is one for each that
   * discovery delivers, and for all workers together.
   */
  countSecretUpdates(names: readonly string[], { index, secrets }: Pick<TlsEnvironment, 'index' | 'secrets'>): void {
    if (index !== 0) return;
    for (const name of names)
      if (name.startsWith(DISCOVERED_SECRET) && secrets.has(name))
        this.factory.inc(TLS_SOCKET_FACTORY_STATS.at.ssl_context_update_by_sds);
  }

  failed(stat: HandshakeFailureStat): void {
    this.block.inc(TLS_STATS.at[stat]);
  }

  #count(family: string, name: string): void {
    const key = family + name;
    let counter = this.#named.get(key);
    if (counter === undefined) {
      counter = this.#scope.counter(`ssl.${key}`);
      this.#named.set(key, counter);
    }
    counter.inc();
  }
}
