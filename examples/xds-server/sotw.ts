import { create } from '@bufbuild/protobuf';
import {
  DiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { ClientStream, Request, Response } from './client-stream.ts';

/** State of the world: each request has all names that the proxy wants, each response all that it is to have. */
export function readSotw(message: DiscoveryRequest, stream: ClientStream): Request {
  const { typeUrl, node, responseNonce, errorDetail, resourceNames } = message;
  const before = stream.namesOf(typeUrl);
  const everything = resourceNames.length === 0 && (before === undefined || before.has('*'));
  const names = new Set(everything ? ['*'] : resourceNames);
  return {
    typeUrl,
    node,
    nonce: responseNonce,
    error: errorDetail?.message,
    subscribe: [...names].filter((name) => before?.has(name) !== true),
    unsubscribe: [...(before ?? [])].filter((name) => !names.has(name)),
    has: {},
  };
}

export function writeSotw({ typeUrl, nonce, version, whole }: Response): DiscoveryResponse {
  return create(DiscoveryResponseSchema, {
    typeUrl,
    nonce,
    versionInfo: version,
    resources: whole.map(({ any }) => any),
  });
}
