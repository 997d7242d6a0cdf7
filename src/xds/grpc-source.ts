import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import { ApiConfigSource_ApiType as ApiType } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { ApiConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { durationMs } from '../api/duration.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { ControlPlaneStats } from './control-plane-stats.ts';
import { DeltaMux } from './delta-mux.ts';
import type { GrpcChannels } from './grpc-channels.ts';
import { GrpcStream, type BackOffBounds, type StreamLog } from './grpc-stream.ts';
import type { RequestRate } from './request-queue.ts';
import type { ResourceWatcher, XdsWatch } from './resource-update.ts';
import { AGGREGATED_DELTA, AGGREGATED_STREAM, DISCOVERY_METHODS, kindOf } from './resource-type.ts';
import { SotwMux } from './sotw-mux.ts';
import { deltaProtocol, sotwProtocol } from './stream-protocols.ts';
import type { XdsSource } from './xds-source.ts';

/** What all streams of a process have in common. */
export interface GrpcSourceContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: StreamLog;
  readonly node: Node;
  readonly channels: GrpcChannels;
}

/** `rate_limit_settings` without numbers. */
const DEFAULT_TOKENS = 100;
const DEFAULT_FILL_RATE = 10;
/** A back-off without a maximum goes up to so many times its base. */
const DEFAULT_BACK_OFF_GROWTH = 10;

/** One stream to a control plane: of one resource type, or (`typeUrl` undefined) of all. */
export class GrpcSource implements XdsSource {
  readonly #mux: SotwMux | DeltaMux;
  readonly #stream: { open(): void; restart(): void; close(): void };
  readonly #hasService: boolean;
  #opened = false;
  #closed = false;

  /** `scope`: where its `control_plane.` stats are. */
  constructor(config: ApiConfigSource, typeUrl: string | undefined, scope: StatsScope, context: GrpcSourceContext) {
    const { clock, random, log, node, channels } = context;
    const incremental = isIncremental(config);
    this.#hasService = config.grpcServices.length > 0;
    const mux = {
      clock,
      node,
      nodeOnFirstMessageOnly: incremental || config.setNodeOnFirstMessageOnly,
      warn: (message: string) => log.warn('config', message),
    };
    const kind = typeUrl === undefined ? undefined : kindOf(typeUrl);
    const methods = kind && DISCOVERY_METHODS[kind];
    const stream = {
      channels: config.grpcServices.map((service) => channels.get(service)),
      clock,
      random,
      log,
      stats: new ControlPlaneStats(scope),
      backOff: backOffOf(config),
      rate: rateOf(config),
    };
    if (incremental) {
      const made = new DeltaMux(mux);
      this.#mux = made;
      this.#stream = new GrpcStream(made, { ...stream, protocol: deltaProtocol(methods?.delta ?? AGGREGATED_DELTA) });
    } else {
      const made = new SotwMux(mux);
      this.#mux = made;
      this.#stream = new GrpcStream(made, { ...stream, protocol: sotwProtocol(methods?.stream ?? AGGREGATED_STREAM) });
    }
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    return this.#mux.watch(typeUrl, names, watcher);
  }

  /** Idempotent. What is watched by then is asked for in the order in which it was watched. */
  open(): void {
    // Without a service there is nobody to ask; the configuration was refused for it.
    if (this.#opened || this.#closed || !this.#hasService) return;
    this.#opened = true;
    this.#stream.open();
  }

  /** Whether requests of a type, acknowledgements above all, stay here until they are released. */
  setHeld(typeUrl: string, isHeld: boolean): void {
    if (isHeld) this.#mux.hold(typeUrl);
    else this.#mux.release(typeUrl);
  }

  /** Asks anew for what is watched, as if nothing had been said yet of what was given up before. */
  restart(): void {
    this.#stream.restart();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
  }
}

/** Whether a source speaks the incremental variant. */
export function isIncremental({ apiType }: ApiConfigSource): boolean {
  return apiType === ApiType.DELTA_GRPC || apiType === ApiType.AGGREGATED_DELTA_GRPC;
}

function backOffOf({ grpcServices }: ApiConfigSource): BackOffBounds | undefined {
  const target = grpcServices[0]?.targetSpecifier;
  if (target?.case !== 'envoyGrpc') return undefined;
  const settings = target.value.retryPolicy?.retryBackOff;
  if (settings?.baseInterval === undefined) return undefined;
  const baseMs = durationMs(settings.baseInterval);
  return { baseMs, maxMs: durationMs(settings.maxInterval) ?? baseMs * DEFAULT_BACK_OFF_GROWTH };
}

function rateOf({ rateLimitSettings }: ApiConfigSource): RequestRate | undefined {
  if (rateLimitSettings === undefined) return undefined;
  const { maxTokens, fillRate } = rateLimitSettings;
  return { maxTokens: maxTokens ?? DEFAULT_TOKENS, fillRate: fillRate ?? DEFAULT_FILL_RATE };
}
