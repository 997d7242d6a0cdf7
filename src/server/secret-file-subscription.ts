import { statSync } from 'node:fs';
import type { SecretLoad } from '../config/secrets/declared-secret.ts';
import type { Clock } from '../lib/clock.ts';
import { hash64 } from '../lib/hash64.ts';
import { SDS_STATS } from '../telemetry/stats/secret-stats.ts';
import type { StatBlock, StatsScope, TextReadout } from '../telemetry/stats/stats.ts';

const AT = SDS_STATS.at;

/**
 * What is counted of a secret that a file delivers: once, however many uses it has. An update is another file; when a
 * file that the secret names has changed, the secret rotates, and only the failure of that counts.
 */
export class SecretFileSubscription {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #scope: StatsScope;
  readonly #block: StatBlock;
  readonly #version: TextReadout;
  /** The first one counts for all. */
  readonly #uses = new Set<object>();
  #content = '';
  #isUpdate = true;

  constructor(path: string, resource: string, stats: StatsScope, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#scope = stats.scope(`sds.${resource}.`);
    this.#block = this.#scope.block(SDS_STATS);
    this.#version = this.#scope.textReadout('version_text');
  }

  join(use: object): void {
    this.#uses.add(use);
  }

  /** True: nobody is left, and it counts no more. */
  leave(use: object): boolean {
    this.#uses.delete(use);
    if (this.#uses.size > 0) return false;
    this.#scope.release();
    return true;
  }

  /** The secret is about to be read for this use. */
  begin(use: object): void {
    if (!this.#counts(use)) return;
    const content = contentOf(this.#path);
    this.#isUpdate = content !== this.#content || content === '';
    this.#content = content;
    if (this.#isUpdate) this.#block.inc(AT.update_attempt);
  }

  /** It has been read. */
  end(use: object, { outcome, versionInfo }: SecretLoad): void {
    if (!this.#counts(use)) return;
    const block = this.#block;
    if (!this.#isUpdate) {
      if (outcome !== 'loaded') block.inc(AT.key_rotation_failed);
      return;
    }
    switch (outcome) {
      case 'loaded':
        block.inc(AT.update_success);
        block.set(AT.update_time, Math.floor(this.#clock.epoch()));
        block.set(AT.version, Number(hash64(versionInfo)));
        this.#version.set(versionInfo);
        break;
      case 'rejected':
        block.inc(AT.update_rejected);
        break;
      case 'failed':
        block.inc(AT.update_failure);
        break;
    }
  }

  #counts(use: object): boolean {
    const [first] = this.#uses;
    return first === use;
  }
}

/** Another text for each file that takes the place of another, or is written; '': there is none. */
function contentOf(path: string): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.dev}:${stats.ino}:${stats.mtimeNs}:${stats.size}`;
}
