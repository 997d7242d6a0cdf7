import { create } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { ClientStream, Request, Response } from './client-stream.ts';

/** Delta: the proxy says what it wants and no longer wants; it is sent what changed. */
export function readDelta(message: DeltaDiscoveryRequest, stream: ClientStream): Request {
  const { typeUrl, node, responseNonce, errorDetail, initialResourceVersions } = message;
  const first = stream.namesOf(typeUrl) === undefined;
  const subscribe = message.resourceNamesSubscribe;
  return {
    typeUrl,
    node,
    nonce: responseNonce,
    error: errorDetail?.message,
    // A first request without names asks for everything.
    subscribe: first && subscribe.length === 0 ? ['*'] : subscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    has: first ? initialResourceVersions : {},
  };
}

export function writeDelta({ typeUrl, nonce, version, changed, removed }: Response): DeltaDiscoveryResponse {
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    systemVersionInfo: version,
    resources: changed.map(({ name, version, any }) => ({ name, version, resource: any })),
    removedResources: [...removed],
  });
}
