import { readFileSync } from 'node:fs';
import { credentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import type { DataSource } from '../api/generated/envoy/config/core/v3/base_pb.js';
import type { GrpcService_GoogleGrpc as GoogleGrpc } from '../api/generated/envoy/config/core/v3/grpc_service_pb.js';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { ControlPlaneTransport } from './control-plane-transport.ts';
import { targetOf, type EndpointRotation } from './endpoint-rotation.ts';
import type { GrpcChannel } from './grpc-channel.ts';
import { GrpcJsChannel } from './grpc-js-channel.ts';
import { TransportCredentials } from './transport-credentials.ts';

type InitialMetadata = readonly (readonly [name: string, value: string])[];

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** What `envoy_grpc` says, and what its cluster does. */
export interface EnvoyGrpcTarget {
  readonly clusterName: string;
  /** '' = the cluster's name. */
  readonly authority: string;
  readonly maxReceiveMessageLength: number | undefined;
  readonly metadata: InitialMetadata;
  readonly cluster: BuiltCluster | undefined;
  readonly transport: ControlPlaneTransport | undefined;
  readonly rotation: EndpointRotation | undefined;
  /** HTTP/2 flow control, in bytes. */
  readonly window: number;
}

/** A channel to the endpoints of a cluster. */
export function envoyGrpcChannel(target: EnvoyGrpcTarget): GrpcChannel {
  const { clusterName, authority, cluster, transport, rotation, metadata, maxReceiveMessageLength, window } = target;
  const keepalive = cluster?.model.http2.keepalive;
  return new GrpcJsChannel({
    destination: clusterName,
    target: async () => {
      const address = await rotation?.next();
      return address && targetOf(address);
    },
    credentials: new TransportCredentials(transport, cluster?.model.tcpKeepalive),
    channelOptions: {
      'grpc.default_authority': authority === '' ? clusterName : authority,
      'grpc-node.flow_control_window': window,
      ...(maxReceiveMessageLength !== undefined && { 'grpc.max_receive_message_length': maxReceiveMessageLength }),
      ...(keepalive !== undefined &&
        keepalive.intervalMs > 0 && {
          'grpc.keepalive_time_ms': keepalive.intervalMs,
          'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
          'grpc.keepalive_permit_without_calls': 1,
        }),
    },
    metadata,
    connectTimeoutMs: cluster?.model.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
  });
}

/** A channel to what `google_grpc` names; undefined: it names nothing. */
export function googleGrpcChannel(google: GoogleGrpc | undefined, metadata: InitialMetadata): GrpcChannel {
  const uri = google?.targetUri ?? '';
  return new GrpcJsChannel({
    destination: uri,
    target: () => Promise.resolve(google && uri),
    credentials: googleCredentials(google),
    channelOptions: channelArgs(google),
    metadata,
    connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
  });
}

function googleCredentials(google: GoogleGrpc | undefined): ChannelCredentials {
  const choice = google?.channelCredentials?.credentialSpecifier;
  if (choice?.case !== 'sslCredentials') return credentials.createInsecure();
  const { rootCerts, privateKey, certChain } = choice.value;
  return credentials.createSsl(bytesOf(rootCerts), bytesOf(privateKey), bytesOf(certChain));
}

function bytesOf(source: DataSource | undefined): Buffer | null {
  const specifier = source?.specifier;
  switch (specifier?.case) {
    case 'filename':
      return readFileSync(specifier.value);
    case 'inlineBytes':
      return Buffer.from(specifier.value);
    case 'inlineString':
      return Buffer.from(specifier.value);
    case 'environmentVariable':
      return Buffer.from(process.env[specifier.value] ?? '');
    default:
      return null;
  }
}

function channelArgs(google: GoogleGrpc | undefined): ChannelOptions {
  const options: ChannelOptions = {};
  for (const [name, { valueSpecifier }] of Object.entries(google?.channelArgs?.args ?? {}))
    options[name] = typeof valueSpecifier.value === 'bigint' ? Number(valueSpecifier.value) : valueSpecifier.value;
  return options;
}
