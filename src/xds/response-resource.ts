import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { ResourceSchema } from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { durationMs } from '../api/duration.ts';
import { resourceName } from './resource-name.ts';

const WRAPPER = `type.googleapis.com/${ResourceSchema.typeName}`;

/** One entry of a DiscoveryResponse. */
export interface ReadResource {
  readonly name: string;
  /** '' = that of the response. */
  readonly version: string;
  /** Undefined: it only renews what is there. */
  readonly value: Uint8Array | undefined;
  readonly ttlMs: number | undefined;
}

/** What is in one Any of a response: a resource, or a Resource that wraps one. A text if it is of another type. */
export function readResource(any: Any, typeUrl: string): ReadResource | string {
  if (any.typeUrl === typeUrl)
    return { name: resourceName(any.value), version: '', value: any.value, ttlMs: undefined };
  if (any.typeUrl !== WRAPPER)
    return `${any.typeUrl} does not match the message-wide type URL ${typeUrl} in DiscoveryResponse`;
  let wrapper;
  try {
    wrapper = fromBinary(ResourceSchema, any.value);
  } catch (error) {
    return `cannot read a Resource: ${error instanceof Error ? error.message : String(error)}`;
  }
  const { name, version, resource, ttl } = wrapper;
  if (resource !== undefined && resource.typeUrl !== typeUrl)
    return `${resource.typeUrl} does not match the message-wide type URL ${typeUrl} in DiscoveryResponse`;
  return {
    name: name === '' && resource !== undefined ? resourceName(resource.value) : name,
    version,
    value: resource?.value,
    ttlMs: durationMs(ttl),
  };
}
