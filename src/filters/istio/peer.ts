import { fromBinary, toJson, type JsonObject } from '@bufbuild/protobuf';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import type { StreamInfo } from '../stream-info.ts';

/** Headers, and fields of what TCP peers exchange: who somebody is, and the id of the node. */
export const PEER = 'x-envoy-peer-metadata';
export const PEER_ID = 'x-envoy-peer-metadata-id';
/** Filter state, as the mesh's telemetry looks for it. */
export const DOWNSTREAM_PEER = 'downstream_peer';
export const UPSTREAM_PEER = 'upstream_peer';
/** Filter state: true = the peer tells nothing of itself. */
export const NO_PEER = 'peer_not_found';

/** Keeps what a peer has told of itself as filter state. */
export function keepPeer({ filterState }: StreamInfo, key: string, peer: JsonObject, id: string | undefined): void {
  filterState.set(key, { ...peer, ...(id !== undefined && { ID: id }) });
}

/** A serialised google.protobuf.Struct. Undefined: it is something else. */
export function decodeStruct(bytes: Uint8Array): JsonObject | undefined {
  try {
    return toJson(StructSchema, fromBinary(StructSchema, bytes)) as JsonObject;
  } catch {
    return undefined;
  }
}
