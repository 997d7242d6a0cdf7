import { lookup } from 'node:dns/promises';
import { toJsonString } from '@bufbuild/protobuf';
import { GrpcServiceSchema, type GrpcService } from '../api/generated/envoy/config/core/v3/grpc_service_pb.js';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { ControlPlaneTransport } from './control-plane-transport.ts';
import { EndpointRotation, type LookupAll } from './endpoint-rotation.ts';
import {
  GRPC_STATUS,
  type GrpcChannel,
  type GrpcStatus,
  type GrpcStreamEvents,
  type GrpcStreamHandle,
} from './grpc-channel.ts';

export interface GrpcChannelsOptions {
  /** The clusters of the bootstrap, EDS clusters apart. */
  readonly cluster: (name: string) => BuiltCluster | undefined;
  /** What its transport socket does; undefined: raw buffer. Asked once for each channel. */
  readonly transport: (cluster: BuiltCluster) => ControlPlaneTransport | undefined;
  readonly lookup?: LookupAll;
}

const systemLookup: LookupAll = (host, family) => lookup(host, { all: true, family });
const WINDOW = 1 << 20;

/**
 * The channels to the gRPC services that a bootstrap names, one for each different service, however many ask for it.
 * The gRPC library is loaded when the first of them is used: a proxy without a control plane does without.
 */
export class GrpcChannels {
  readonly #options: GrpcChannelsOptions;
  readonly #channels = new Map<string, GrpcChannel>();

  constructor(options: GrpcChannelsOptions) {
    this.#options = options;
  }

  get(service: GrpcService): GrpcChannel {
    const key = toJsonString(GrpcServiceSchema, service);
    let channel = this.#channels.get(key);
    if (channel === undefined) this.#channels.set(key, (channel = this.#make(service)));
    return channel;
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #make(service: GrpcService): GrpcChannel {
    const target = service.targetSpecifier;
    const metadata = service.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value] as const);
    if (target.case === 'envoyGrpc') {
      const { clusterName, authority, maxReceiveMessageLength } = target.value;
      const cluster = this.#options.cluster(clusterName);
      return new LazyChannel(clusterName, async () => {
        const { envoyGrpcChannel } = await import('./grpc-js-targets.ts');
        return envoyGrpcChannel({
          clusterName,
          authority,
          maxReceiveMessageLength,
          metadata,
          cluster,
          transport: cluster && this.#options.transport(cluster),
          rotation: cluster && new EndpointRotation(cluster, this.#options.lookup ?? systemLookup),
          window: WINDOW,
        });
      });
    }
    const google = target.case === 'googleGrpc' ? target.value : undefined;
    return new LazyChannel(google?.targetUri ?? '', async () => {
      const { googleGrpcChannel } = await import('./grpc-js-targets.ts');
      return googleGrpcChannel(google, metadata);
    });
  }
}

/** A channel that is made when it is first used. */
class LazyChannel implements GrpcChannel {
  readonly destination: string;
  readonly #make: () => Promise<GrpcChannel>;
  #made: Promise<GrpcChannel> | undefined = undefined;
  #channel: GrpcChannel | undefined = undefined;
  #closed = false;

  constructor(destination: string, make: () => Promise<GrpcChannel>) {
    this.destination = destination;
    this.#make = make;
  }

  openStream(method: string, events: GrpcStreamEvents): GrpcStreamHandle {
    if (this.#channel !== undefined) return this.#channel.openStream(method, events);
    const handle = new PendingStream();
    this.#load().then(
      (channel) => handle.open(() => channel.openStream(method, events)),
      (error: unknown) => handle.open(() => failed(events, { code: GRPC_STATUS.INTERNAL, details: String(error) })),
    );
    return handle;
  }

  async call(...call: Parameters<GrpcChannel['call']>): Promise<Uint8Array | GrpcStatus> {
    try {
      return await (await this.#load()).call(...call);
    } catch (error) {
      return { code: GRPC_STATUS.INTERNAL, details: String(error) };
    }
  }

  close(): void {
    this.#closed = true;
    this.#channel?.close();
  }

  #load(): Promise<GrpcChannel> {
    this.#made ??= this.#makeOnce();
    return this.#made;
  }

  /** What fails is tried again by the next who asks: it may be for want of a file. */
  async #makeOnce(): Promise<GrpcChannel> {
    try {
      const channel = await this.#make();
      this.#channel = channel;
      if (this.#closed) channel.close();
      return channel;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }
}

function failed(events: GrpcStreamEvents, status: GrpcStatus): GrpcStreamHandle {
  events.onEnd(status);
  return { send: () => {}, cancel: () => {} };
}

/** Keeps what is sent until there is a stream to send it on. */
class PendingStream implements GrpcStreamHandle {
  #stream: GrpcStreamHandle | undefined = undefined;
  #waiting: Uint8Array[] = [];
  #cancelled = false;

  open(open: () => GrpcStreamHandle): void {
    if (this.#cancelled) return;
    this.#stream = open();
    for (const bytes of this.#waiting) this.#stream.send(bytes);
    this.#waiting = [];
  }

  send(bytes: Uint8Array): void {
    if (this.#stream === undefined) this.#waiting.push(bytes);
    else this.#stream.send(bytes);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#waiting = [];
    this.#stream?.cancel();
  }
}
