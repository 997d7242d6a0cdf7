import type { Metadata } from '../../filters/stream-info.ts';
import type { Host } from '../upstream/upstream.ts';
import type { RetryPolicy } from './retry-policy.ts';

/**
 * Which hosts a retry should avoid: the hosts already tried (`previous_hosts`), canaries (`omit_canary_hosts`), and
 * those with certain metadata (`omit_host_metadata`).
 */
export class RetryHostPredicates {
  readonly #policy: RetryPolicy;
  readonly #attempted: Host[] = [];

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /** An attempt went (or failed to go) to `host`. */
  onHostAttempted(host: Host): void {
    if (this.#policy.previousHosts) this.#attempted.push(host);
  }

  rejects(host: Host): boolean {
    const policy = this.#policy;
    if (policy.previousHosts && this.#attempted.includes(host)) return true;
    if (policy.omitCanaryHosts && host.canary) return true;
    const omit = policy.model.omitHostMetadata;
    return omit !== undefined && hasMetadata(host.metadata, omit);
  }
}

/** All of `wanted`'s `envoy.lb` fields are among the host's. No field wanted: no host matches. */
function hasMetadata(metadata: Metadata | undefined, wanted: Metadata): boolean {
  const fields = wanted['envoy.lb'] as Record<string, unknown> | undefined;
  const names = fields === undefined ? [] : Object.keys(fields);
  if (names.length === 0) return false;
  const actual = metadata?.['envoy.lb'] as Record<string, unknown> | undefined;
  if (actual === undefined) return false;
  return names.every((name) => name in actual && matchesLabel(fields![name], actual[name]));
}

/** Equal values; a list on the host's side matches if any of its members does. */
function matchesLabel(wanted: unknown, actual: unknown): boolean {
  if (Array.isArray(actual) && !Array.isArray(wanted)) return actual.some((one) => matchesLabel(wanted, one));
  return JSON.stringify(wanted) === JSON.stringify(actual);
}
