import type { HeaderMap } from '../http/headers.ts';
import type { RequestSink, RoutedStream, RouterLocalReply, RouterOptions } from '../http/request-sink.ts';
import { MutableStreamInfo } from '../http/stream-info.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { RouterConfig } from './router-config.ts';
import type { ForwardAction, MirrorPolicyModel, PerFilterConfig, Route, VirtualHost } from './route.ts';

/** Makes the router of a mirrored request. */
export type RouterFactory = (stream: RoutedStream, config: RouterConfig) => RequestSink;

/**
 * A copy of a request on its way to a mirror cluster (Envoy's shadow writer): a stream of its own with a route of its
 * own, whose response nobody reads. It outlives the request it copies, once that has come in completely.
 */
class Mirror implements RoutedStream {
  readonly worker: WorkerContext;
  readonly info: MutableStreamInfo;
  readonly requestHeaders: HeaderMap;
  readonly route: Route;
  readonly bufferLimit: number;
  readonly internalRequest = true;
  readonly routerOptions: RouterOptions;
  readonly routerConfig: RouterConfig;
  readonly overrideHost = undefined;
  readonly overrideHostStrict = false;
  /** The stream that is being copied, while it still sends. */
  #source: RoutedStream | undefined;
  #router: RequestSink | undefined;
  #pauses = 0;

  constructor(
    source: RoutedStream,
    config: RouterConfig,
    headers: HeaderMap,
    clusterName: string,
    timeoutMs: number,
    createRouter: RouterFactory,
  ) {
    this.#source = source;
    this.worker = source.worker;
    this.routerConfig = config;
    this.routerOptions = config.options;
    this.requestHeaders = headers;
    this.bufferLimit = source.bufferLimit;
    const { dispatcher } = source.worker;
    this.info = new MutableStreamInfo(source.info.connection, 'HTTP/1.1', dispatcher.now, dispatcher.epochNow);
    this.route = new MirrorRoute(clusterName, timeoutMs);
    this.#router = createRouter(this, config);
  }

  sendRequestHeaders(endStream: boolean): void {
    if (endStream) this.#detach();
    this.#router?.onHeaders(this.requestHeaders, endStream);
  }

  sendRequestData(chunk: Buffer, endStream: boolean): void {
    if (endStream) this.#detach();
    this.#router?.onData(chunk, endStream);
  }

  sendRequestTrailers(trailers: HeaderMap): void {
    this.#detach();
    this.#router?.onTrailers(trailers);
  }

  /** Gives up a copy of which the original stopped midway. */
  cancel(): void {
    this.#end();
  }

  // ---- what the mirror's router asks of its stream --------------------------------------------------------------

  sendInformational(): void {}

  sendHeaders(_headers: HeaderMap, endStream: boolean): void {
    if (endStream) this.#end();
  }

  sendData(_chunk: Buffer, endStream: boolean): void {
    if (endStream) this.#end();
  }

  sendTrailers(): void {
    this.#end();
  }

  sendLocalReply(_reply: RouterLocalReply): void {
    this.#end();
  }

  reset(): void {
    this.#end();
  }

  fail(error: unknown): void {
    this.worker.log.error('router', `a mirrored request failed: ${String(error)}`);
    this.#end();
  }

  /** A slow mirror slows its original, as in Envoy: nothing is kept without bound. */
  pauseRequest(): void {
    if (this.#source === undefined) return;
    this.#pauses++;
    this.#source.pauseRequest();
  }

  resumeRequest(): void {
    if (this.#pauses === 0) return;
    this.#pauses--;
    this.#source?.resumeRequest();
  }

  recreate(): boolean {
    return false;
  }

  #detach(): void {
    for (; this.#pauses > 0; this.#pauses--) this.#source?.resumeRequest();
    this.#source = undefined;
  }

  #end(): void {
    const router = this.#router;
    this.#router = undefined;
    router?.destroy();
    this.#detach();
  }
}

/** The route of a mirrored request: to its cluster, and nothing else. */
class MirrorRoute implements Route {
  readonly name = '';
  readonly virtualHost: VirtualHost = NO_VIRTUAL_HOST;
  readonly metadata = undefined;
  readonly stats = undefined;
  readonly action: ForwardAction;

  constructor(clusterName: string, timeoutMs: number) {
    this.action = {
      kind: 'forward',
      clusterName,
      clusterNotFoundStatus: 503,
      priority: 'default',
      timeoutMs,
      idleTimeoutMs: undefined,
      maxStreamDurationMs: undefined,
      grpcTimeoutHeaderMaxMs: undefined,
      grpcTimeoutHeaderOffsetMs: undefined,
      retry: undefined,
      hedgeOnPerTryTimeout: false,
      requestBufferLimitBytes: undefined,
      mirrors: [],
      internalRedirect: undefined,
      autoHostRewrite: false,
      appendXForwardedHost: false,
      upgrades: new Map(),
      connect: undefined,
      metadataMatch: undefined,
      hashPolicy: undefined,
    };
  }

  perFilterConfigs(): readonly PerFilterConfig[] {
    return [];
  }

  finalizeRequest(): void {}
  finalizeResponse(): void {}
}

const NO_VIRTUAL_HOST: VirtualHost = {
  name: '',
  includeAttemptCountInRequest: false,
  includeAttemptCountInResponse: false,
  includeIsTimeoutRetryHeader: false,
  virtualCluster: () => undefined,
};

/** The mirrors of one request. */
export class Mirrors {
  readonly #mirrors: Mirror[] = [];

  /**
   * Copies the request for every policy that applies to it; undefined if none does. `headers` are as they go upstream.
   * Nothing is sent before `sendHeaders`.
   */
  static of(
    source: RoutedStream,
    config: RouterConfig,
    policies: readonly MirrorPolicyModel[],
    headers: HeaderMap,
    timeoutMs: number,
    createRouter: RouterFactory,
  ): Mirrors | undefined {
    const { worker } = config;
    // The same for all policies, as in Envoy, where it is the stream's id.
    const stable = worker.random.below(0x1_0000_0000);
    let mirrors: Mirrors | undefined;
    for (const policy of policies) {
      if (!worker.runtime.featureEnabled(policy.runtimeKey, policy, stable)) continue;
      const cluster = mirrorCluster(policy, headers);
      if (cluster === '' || worker.clusters.get(cluster) === undefined) continue;
      const copy = mirrorHeaders(headers, policy, config.localAddress);
      (mirrors ??= new Mirrors()).#mirrors.push(
        new Mirror(source, config.mirror, copy, cluster, timeoutMs, createRouter),
      );
    }
    return mirrors;
  }

  sendHeaders(endStream: boolean): void {
    for (const mirror of this.#mirrors) mirror.sendRequestHeaders(endStream);
  }

  data(chunk: Buffer, endStream: boolean): void {
    for (const mirror of this.#mirrors) mirror.sendRequestData(chunk, endStream);
  }

  trailers(trailers: HeaderMap): void {
    for (const mirror of this.#mirrors) mirror.sendRequestTrailers(trailers);
  }

  /** Gives up copies of which the original stopped midway. */
  cancel(): void {
    for (const mirror of this.#mirrors) mirror.cancel();
  }
}

/** The cluster that `policy` names for this request; '' = none. */
function mirrorCluster(policy: MirrorPolicyModel, headers: HeaderMap): string {
  return policy.cluster !== '' ? policy.cluster : (headers.get(policy.clusterHeader) ?? '');
}

/** The headers of a mirrored request: the host says so, and it comes from us. */
function mirrorHeaders(headers: HeaderMap, policy: MirrorPolicyModel, localAddress: string): HeaderMap {
  const copy = headers.clone();
  if (!policy.disableShadowHostSuffix) copy.authority = shadowHost(copy.authority);
  copy.set('x-envoy-internal', 'true');
  const forwarded = copy.get('x-forwarded-for');
  copy.set(
    'x-forwarded-for',
    forwarded === undefined || forwarded === '' ? localAddress : `${forwarded},${localAddress}`,
  );
  return copy;
}

/** `host:port` becomes `host-shadow:port`. */
function shadowHost(authority: string): string {
  const colon = authority.lastIndexOf(':');
  // A colon within brackets belongs to an IPv6 address.
  if (colon === -1 || authority.indexOf(']', colon) !== -1) return `${authority}-shadow`;
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}
