import type { CertificateAuthorityModel } from '../../config/certificate-authority-model.ts';
import { BackOff } from '../../lib/back-off.ts';
import type { Clock, ClockTimer } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { ProcessLog } from '../../telemetry/log.ts';
import { CERTIFICATE_AUTHORITY_STATS } from '../../telemetry/stats/secret-stats.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import type { GrpcChannel } from '../grpc-channel.ts';
import type { ResourceWatcher, XdsWatch } from '../resource-update.ts';
import type { XdsSource } from '../xds-source.ts';
import type { IssuedCertificate } from './request-certificate.ts';

export interface CertificateIssuerOptions {
  readonly model: CertificateAuthorityModel;
  readonly channel: GrpcChannel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<ProcessLog, 'info' | 'warn'>;
  /** The root. */
  readonly stats: StatsScope;
}

interface Watch {
  names: readonly string[];
  readonly watcher: ResourceWatcher;
}

const AT = CERTIFICATE_AUTHORITY_STATS.at;
/** Of requests that failed. */
const RETRY_BASE_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** Proxies that started together don't renew together. */
const GRACE_PERIOD_JITTER = 0.01;
/** However short certificates live. */
const MIN_RENEWAL_MS = 1000;

/**
 * A source of two secrets, the proxy's certificate and the root of its mesh, that it has issued itself: from the first
 * watch on, and anew, with another key, when `grace_period_ratio` of the lifetime is left. Where that fails it is tried
 * again, and the last certificate stays.
 */
export class CertificateIssuer implements XdsSource {
  readonly #options: CertificateIssuerOptions;
  readonly #backOff: BackOff;
  readonly #stats: StatBlock;
  readonly #watches = new Set<Watch>();
  #issued: IssuedCertificate | undefined = undefined;
  #timer: ClockTimer | undefined = undefined;
  #isStarted = false;
  #isClosed = false;

  constructor(options: CertificateIssuerOptions) {
    this.#options = options;
    this.#backOff = new BackOff(RETRY_BASE_MS, RETRY_MAX_MS, options.random);
    this.#stats = options.stats.block(CERTIFICATE_AUTHORITY_STATS, 'outrigger.certificate_authority.');
  }

  watch(_typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const watch: Watch = { names: names ?? [], watcher };
    this.#watches.add(watch);
    if (!this.#isStarted) {
      this.#isStarted = true;
      void this.#issue();
    } else if (this.#issued !== undefined) {
      const issued = this.#issued;
      queueMicrotask(() => void this.#deliver(watch, issued));
    }
    return {
      setNames: (changed) => {
        watch.names = changed;
        if (this.#issued !== undefined) void this.#deliver(watch, this.#issued);
      },
      close: () => this.#watches.delete(watch),
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#watches.clear();
  }

  async #issue(): Promise<void> {
    const { model, channel, clock, log } = this.#options;
    this.#stats.inc(AT.request);
    // Loaded by those who need it, with its messages.
    const { requestCertificate } = await import('./request-certificate.ts');
    const certificate = await requestCertificate(model, channel).catch(String);
    if (this.#isClosed) return;
    if (typeof certificate === 'string') return this.#onFailure(certificate);
    const lifetimeMs = certificate.expiresMs - clock.epoch();
    if (lifetimeMs <= 0) return this.#onFailure('the certificate has expired already');
    const refused = await this.#deliverToAll(certificate);
    if (this.#isClosed) return;
    if (refused !== '') return this.#onFailure(refused, true);
    this.#issued = certificate;
    this.#stats.inc(AT.success);
    this.#stats.set(AT.certificate_expiry_time_seconds, Math.floor(certificate.expiresMs / 1000));
    this.#backOff.reset();
    const renewalMs = Math.max(MIN_RENEWAL_MS, lifetimeMs * (1 - this.#gracePeriodRatio()));
    const [lives, renewed] = [lifetimeMs, renewalMs].map((ms) => Math.round(ms / 1000));
    log.info('config', `'${channel.destination}' issued a certificate for ${lives} s; it is renewed in ${renewed} s`);
    this.#schedule(renewalMs);
  }

  #onFailure(error: string, isRefused = false): void {
    const { log, channel } = this.#options;
    this.#stats.inc(AT.failure);
    const kept = this.#issued === undefined ? '' : '; the last one stays in use';
    log.warn('config', `no certificate from '${channel.destination}': ${error}${kept}`);
    if (!isRefused) for (const { watcher } of this.#watches) watcher.onConnectionFailure?.();
    this.#schedule(this.#backOff.next());
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.#issue());
  }

  #gracePeriodRatio(): number {
    const jitter = (this.#options.random.unit() * 2 - 1) * GRACE_PERIOD_JITTER;
    return Math.min(1, Math.max(0, this.#options.model.gracePeriodRatio + jitter));
  }

  /** Those that come meanwhile included. '' or why one of them refused it. */
  async #deliverToAll(certificate: IssuedCertificate): Promise<string> {
    const told = new Set<Watch>();
    let refused = '';
    for (;;) {
      const others = [...this.#watches].filter((watch) => !told.has(watch));
      if (others.length === 0) return refused;
      for (const watch of others) told.add(watch);
      const verdicts = await Promise.all(others.map((watch) => this.#deliver(watch, certificate)));
      refused ||= verdicts.find((verdict) => verdict !== '') ?? '';
    }
  }

  /** '' or why it was refused. */
  async #deliver(watch: Watch, { serial: version, secrets }: IssuedCertificate): Promise<string> {
    const set = watch.names.flatMap((name) => {
      const value = secrets.get(name);
      return value === undefined ? [] : [{ name, version, value }];
    });
    if (set.length === 0 || !this.#watches.has(watch)) return '';
    const verdict = await watch.watcher.onUpdate({ version, set, removed: [] });
    if (verdict !== '') watch.watcher.onRejected?.(verdict);
    return verdict;
  }
}
