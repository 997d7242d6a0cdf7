import type { Headers } from '../../filters/headers.ts';
import type { ClusterView, RateLimitDescriptor, RateLimitSelection, StreamContext } from '../../filters/http/filter.ts';
import type { Metadata, StreamInfo } from '../../filters/stream-info.ts';
import type { RateLimitSubject } from '../../filters/rate-limit-policy.ts';
import type { CompiledFilter } from './compiled-filter.ts';
import type { HttpStream } from './stream.ts';

const NONE: readonly never[] = [];

/** What one filter on one stream sees of it: the stream, and the route's overrides of that filter. */
export class FilterStream implements StreamContext {
  readonly #stream: HttpStream;
  readonly #filter: CompiledFilter;

  constructor(stream: HttpStream, filter: CompiledFilter) {
    this.#stream = stream;
    this.#filter = filter;
  }

  get info(): StreamInfo {
    return this.#stream.info;
  }

  get routeConfigs(): readonly unknown[] {
    const { route } = this.#stream;
    return route === undefined ? NONE : this.#filter.routeConfigs(route);
  }

  get routeConfig(): unknown {
    const all = this.routeConfigs;
    return all.length === 0 ? undefined : all[all.length - 1];
  }

  get routeMetadata(): Metadata | undefined {
    return this.#stream.route?.metadata;
  }

  get hasRoute(): boolean {
    return this.#stream.route !== undefined;
  }

  get clusterName(): string {
    const action = this.#stream.route?.action;
    return action?.kind === 'forward' ? action.clusterName : '';
  }

  get cluster(): ClusterView | undefined {
    return this.#stream.worker.clusters.get(this.clusterName)?.model;
  }

  rateLimitDescriptors({ stage, virtualHost }: RateLimitSelection, headers: Headers): readonly RateLimitDescriptor[] {
    const { route, worker } = this.#stream;
    const action = route?.action;
    if (route === undefined || action?.kind !== 'forward') return NONE;
    const { rateLimits } = action;
    const ofHost =
      action.includeVirtualHostRateLimits === true ||
      virtualHost === 'include' ||
      (virtualHost === 'override' && rateLimits === undefined)
        ? route.virtualHost.rateLimits
        : undefined;
    if (rateLimits === undefined && ofHost === undefined) return NONE;
    const descriptors: RateLimitDescriptor[] = [];
    const subject: RateLimitSubject = {
      headers,
      info: this.#stream.info,
      sourceCluster: worker.node.cluster,
      destinationCluster: action.clusterName,
      routeMetadata: route.metadata,
    };
    rateLimits?.describe(stage, subject, descriptors);
    ofHost?.describe(stage, subject, descriptors);
    return descriptors;
  }

  clearRoute(): void {
    this.#stream.clearRoute();
  }

  setUpstreamOverrideHost(address: string, strict: boolean): void {
    this.#stream.overrideHost = address;
    this.#stream.overrideHostStrict = strict;
  }

  get bufferLimit(): number {
    return this.#stream.bufferLimit;
  }

  setBufferLimit(bytes: number): void {
    this.#stream.setBufferLimit(bytes);
  }

  get signal(): AbortSignal {
    return this.#stream.signal;
  }
}
