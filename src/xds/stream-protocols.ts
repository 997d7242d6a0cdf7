import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { StreamProtocol } from './grpc-stream.ts';

export function sotwProtocol(method: string): StreamProtocol<DiscoveryRequest, DiscoveryResponse> {
  return {
    method,
    encode: (request) => toBinary(DiscoveryRequestSchema, request),
    decode: (bytes) => fromBinary(DiscoveryResponseSchema, bytes),
    identifier: ({ controlPlane }) => controlPlane?.identifier,
  };
}

export function deltaProtocol(method: string): StreamProtocol<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  return {
    method,
    encode: (request) => toBinary(DeltaDiscoveryRequestSchema, request),
    decode: (bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
    identifier: ({ controlPlane }) => controlPlane?.identifier,
  };
}
