import { create, fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { AnySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import type { LocalNode } from '../http/filter.ts';
import { PEER, PEER_ID } from './peer.ts';

const TYPE_URL = 'type.googleapis.com/google.protobuf.Struct';
/** What of the node's metadata is told to peers. */
const FIELDS = ['CLUSTER_ID', 'NAME', 'NAMESPACE', 'WORKLOAD_NAME'];
const LABELS = ['app', 'service.istio.io/canonical-name', 'service.istio.io/canonical-revision', 'version'];
/** Kinds of owners that are told. */
const WORKLOAD_TYPES = ['deployment', 'job', 'cronjob', 'pod'];

/** What this proxy tells TCP peers of itself: a serialised Any of a Struct. `labels`: told beside the usual ones. */
export function encodeLocalPeer({ id, metadata = {} }: LocalNode, labels: readonly string[]): Uint8Array {
  const value = encodeStruct(sorted({ [PEER]: localPeer(metadata, labels), ...(id !== '' && { [PEER_ID]: id }) }));
  return toBinary(AnySchema, create(AnySchema, { typeUrl: TYPE_URL, value }));
}

/** The same for a header: a serialised Struct, base64. */
export function localPeerHeader({ metadata = {} }: LocalNode, labels: readonly string[]): string {
  return Buffer.from(encodeStruct(localPeer(metadata, labels))).toString('base64');
}

const encodeStruct = (json: JsonObject): Uint8Array => toBinary(StructSchema, fromJson(StructSchema, json));

function localPeer(metadata: Readonly<Record<string, unknown>>, additionalLabels: readonly string[]): JsonObject {
  const own = asObject(metadata['LABELS']);
  const peer: JsonObject = {
    ...pick(metadata, FIELDS),
    LABELS: sorted({ ...pick(own, LABELS), ...pick(own, additionalLabels) }),
  };
  const owner = ownerOf(metadata);
  if (owner !== undefined) peer['OWNER'] = owner;
  return sorted(peer);
}

/** Rebuilt of its parts, whatever API it names. Undefined: no owner of a kind that is told. */
function ownerOf({ OWNER, WORKLOAD_NAME, NAMESPACE }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof OWNER !== 'string' || typeof WORKLOAD_NAME !== 'string') return undefined;
  const type = WORKLOAD_TYPES.find((name) => OWNER.endsWith(`/${name}s/${WORKLOAD_NAME}`));
  if (type === undefined) return undefined;
  return `kubernetes://apis/apps/v1/namespaces/${text(NAMESPACE)}/${type}s/${WORKLOAD_NAME}`;
}

/** Those of the fields that are texts. */
function pick(object: Readonly<Record<string, unknown>>, names: readonly string[]): JsonObject {
  const picked: JsonObject = {};
  for (const name of names) if (text(object[name]) !== '') picked[name] = text(object[name]);
  return picked;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** By key, so that the same is always serialised to the same bytes. */
function sorted(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
