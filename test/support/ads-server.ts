import { createRegistry, fromBinary, fromJson, toBinary, type JsonValue } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { TypedExtensionConfigSchema } from '../../src/api/generated/envoy/config/core/v3/extension_pb.js';
import { ClusterLoadAssignmentSchema } from '../../src/api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../src/api/generated/envoy/config/listener/v3/listener_pb.js';
import { VirtualHostSchema } from '../../src/api/generated/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../../src/api/generated/envoy/config/route/v3/route_pb.js';
import { ScopedRouteConfigurationSchema } from '../../src/api/generated/envoy/config/route/v3/scoped_route_pb.js';
import { HTTPFaultSchema } from '../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { HeaderMutationSchema } from '../../src/api/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import { OnDemandSchema } from '../../src/api/generated/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.js';
import { RouterSchema } from '../../src/api/generated/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpConnectionManagerSchema } from '../../src/api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { SecretSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { RBACSchema } from '../../src/api/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { HttpProtocolOptionsSchema } from '../../src/api/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { RuntimeSchema } from '../../src/api/generated/envoy/service/runtime/v3/rtds_pb.js';
import {
  AGGREGATED_DELTA,
  AGGREGATED_STREAM,
  RESOURCE_TYPES,
  kindOf,
  type ResourceKind,
} from '../../src/xds/resource-type.ts';
import { FakeControlPlane } from './fake-control-plane.ts';

type Json = Readonly<Record<string, unknown>>;
interface ServerStream {
  end(): void;
  on(event: string, listener: () => void): unknown;
  emit(event: 'error', error: object): unknown;
}
type Stream = { send(): void; end(): void; reset(): void };

const SCHEMAS = {
  lds: ListenerSchema,
  rds: RouteConfigurationSchema,
  srds: ScopedRouteConfigurationSchema,
  vhds: VirtualHostSchema,
  cds: ClusterSchema,
  eds: ClusterLoadAssignmentSchema,
  sds: SecretSchema,
  rtds: RuntimeSchema,
  ecds: TypedExtensionConfigSchema,
} as const;
const registry = createRegistry(
  HttpConnectionManagerSchema,
  RouterSchema,
  HTTPFaultSchema,
  OnDemandSchema,
  RBACSchema,
  HeaderMutationSchema,
  HttpProtocolOptionsSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
);

function encode(_name: string, content: string, typeUrl: string): Uint8Array {
  const schema = SCHEMAS[kindOf(typeUrl)!];
  return toBinary(schema, fromJson(schema, JSON.parse(content) as JsonValue, { registry }));
}

/** A request as it was received. */
export interface ReceivedRequest {
  readonly kind: ResourceKind;
  /** Of a delta: what was subscribed to. */
  readonly names: readonly string[];
  readonly error: string | undefined;
}

/** A control plane on the loopback: ADS in both variants of the protocol, for one client at a time. */
export class AdsServer implements AsyncDisposable {
  readonly plane = new FakeControlPlane(encode);
  readonly requests: ReceivedRequest[] = [];
  /** Takes requests and says nothing. */
  silent = false;
  /** How a response leaves, which a test may alter, hold back or repeat. `count`: how many went before it. */
  deliver: (send: () => void, response: DiscoveryResponse | DeltaDiscoveryResponse, count: number) => void = (send) =>
    send();
  /** Called before a request is looked at. `count`: how many came before it. */
  onRequest: (count: number) => void = () => {};
  /** Kinds that are not answered. */
  readonly withheld = new Set<ResourceKind>();
  readonly #server = new Server();
  readonly #streams = new Set<Stream>();
  #port = 0;
  #delivered = 0;
  /** Calls that have ended: a write to one would keep its status from being sent. */
  readonly #gone = new WeakSet<object>();

  static async start(port = 0): Promise<AdsServer> {
    const ads = new AdsServer();
    ads.#server.addService(
      {
        stream: {
          path: AGGREGATED_STREAM,
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => fromBinary(DiscoveryRequestSchema, bytes),
          requestSerialize: (message: DiscoveryRequest) => Buffer.from(toBinary(DiscoveryRequestSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(DiscoveryResponseSchema, bytes),
          responseSerialize: (message: DiscoveryResponse) => Buffer.from(toBinary(DiscoveryResponseSchema, message)),
        },
        delta: {
          path: AGGREGATED_DELTA,
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
          requestSerialize: (message: DeltaDiscoveryRequest) =>
            Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
          responseSerialize: (message: DeltaDiscoveryResponse) =>
            Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message)),
        },
      },
      {
        stream: (call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) => ads.#onStream(call),
        delta: (call: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>) => ads.#onDelta(call),
      },
    );
    ads.#port = await new Promise<number>((resolve, reject) =>
      ads.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return ads;
  }

  get port(): number {
    return this.#port;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Texts of the refusals of a kind. */
  nacks(kind: ResourceKind): string[] {
    return this.plane.nacks.filter(({ typeUrl }) => typeUrl === RESOURCE_TYPES[kind]).map(({ message }) => message);
  }

  /** Sets a resource and sends it. */
  set(kind: ResourceKind, name: string, resource: Json): void {
    this.plane.set(RESOURCE_TYPES[kind], name, JSON.stringify(resource));
    this.push();
  }

  remove(kind: ResourceKind, name: string): void {
    this.plane.remove(RESOURCE_TYPES[kind], name);
    this.push();
  }

  /** Several changes, sent together. */
  change(edit: (set: (kind: ResourceKind, name: string, resource: Json | undefined) => void) => void): void {
    edit((kind, name, resource) => {
      if (resource === undefined) this.plane.remove(RESOURCE_TYPES[kind], name);
      else this.plane.set(RESOURCE_TYPES[kind], name, JSON.stringify(resource));
    });
    this.push();
  }

  push(): void {
    for (const stream of this.#streams) stream.send();
  }

  dropStreams(): void {
    for (const stream of this.#streams) stream.end();
  }

  /** As when the process at the other end dies. */
  resetStreams(): void {
    for (const stream of this.#streams) stream.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #onStream(call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>): void {
    const sent = new Map<string, string>();
    const send = (): void => {
      if (this.silent) return;
      for (const typeUrl of this.plane.types) {
        if (this.withheld.has(kindOf(typeUrl)!)) continue;
        const response = this.plane.response(typeUrl);
        const key = response.resources.map(({ value }) => Buffer.from(value).toString('base64')).join();
        const isNeeded = typeUrl === RESOURCE_TYPES.lds || typeUrl === RESOURCE_TYPES.cds || key !== '';
        if (sent.get(typeUrl) === key || (!isNeeded && !sent.has(typeUrl))) continue;
        sent.set(typeUrl, key);
        this.#deliver(call, response);
      }
    };
    const stream = this.#open(call, send);
    call.on('data', (request: DiscoveryRequest) => {
      this.#record(request.typeUrl, request.resourceNames, request.errorDetail?.message);
      this.plane.onRequest(request);
      stream.send();
    });
  }

  #onDelta(call: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>): void {
    const send = (): void => {
      if (this.silent) return;
      for (const typeUrl of this.plane.types) {
        if (this.withheld.has(kindOf(typeUrl)!)) continue;
        const response = this.plane.deltaResponse(typeUrl);
        if (response !== undefined) this.#deliver(call, response);
      }
    };
    const stream = this.#open(call, send);
    call.on('data', (request: DeltaDiscoveryRequest) => {
      this.#record(request.typeUrl, request.resourceNamesSubscribe, request.errorDetail?.message);
      this.plane.onDeltaRequest(request);
      stream.send();
    });
  }

  #deliver<Response extends DiscoveryResponse | DeltaDiscoveryResponse>(
    call: { write(response: Response): unknown },
    response: Response,
  ): void {
    const send = (): void => void (this.#gone.has(call) || call.write(response));
    this.deliver(send, response, this.#delivered++);
  }

  #record(typeUrl: string, names: readonly string[], error: string | undefined): void {
    this.onRequest(this.requests.length);
    this.requests.push({ kind: kindOf(typeUrl)!, names, error });
  }

  #open(call: ServerStream, send: () => void): Stream {
    this.plane.newStream();
    const stream = {
      send,
      end: () => call.end(),
      reset: () => {
        gone();
        call.emit('error', { code: status.UNAVAILABLE, details: 'reset by the test' });
      },
    };
    this.#streams.add(stream);
    const gone = (): void => {
      this.#gone.add(call);
      this.#streams.delete(stream);
    };
    call.on('end', () => {
      gone();
      call.end();
    });
    call.on('error', gone);
    call.on('cancelled', gone);
    return stream;
  }
}
