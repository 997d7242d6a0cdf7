import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';

/** A resource of any type is a Cluster here: what matters is that its name is field 1. `content` stands in alt_stat_name. */
export function resourceBytes(name: string, content: string): Uint8Array {
  return toBinary(ClusterSchema, create(ClusterSchema, { name, altStatName: content }));
}

/**
 * The state of a control plane and its side of one client's protocol, state-of-the-world and delta, without I/O.
 * `state` maps type URL -> name -> content.
 */
export class FakeControlPlane {
  readonly state = new Map<string, Map<string, string>>();
  /** What a request refused: type URL and text. */
  readonly nacks: { readonly typeUrl: string; readonly message: string }[] = [];
  readonly #encode: (name: string, content: string, typeUrl: string) => Uint8Array;
  #nonce = 0;
  #version = 0;
  /** Per stream: type URL -> what the client wants, and (delta) what it was sent. */
  #wanted = new Map<string, Set<string> | 'all'>();
  #sent = new Map<string, Map<string, string>>();

  /** `encode`: what a content stands for. */
  constructor(encode: (name: string, content: string, typeUrl: string) => Uint8Array = resourceBytes) {
    this.#encode = encode;
  }

  set(typeUrl: string, name: string, content: string): void {
    let resources = this.state.get(typeUrl);
    if (resources === undefined) this.state.set(typeUrl, (resources = new Map()));
    resources.set(name, content);
    this.#version++;
  }

  remove(typeUrl: string, name: string): void {
    this.state.get(typeUrl)?.delete(name);
    this.#version++;
  }

  newStream(): void {
    this.#wanted = new Map();
    this.#sent = new Map();
  }

  get types(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  onRequest({ typeUrl, resourceNames, errorDetail }: DiscoveryRequest): void {
    if (errorDetail !== undefined) this.nacks.push({ typeUrl, message: errorDetail.message });
    const all =
      resourceNames.includes('*') || (resourceNames.length === 0 && !(this.#wanted.get(typeUrl) instanceof Set));
    this.#wanted.set(typeUrl, all ? 'all' : new Set(resourceNames));
  }

  /** The whole state of a type, as far as it is wanted. */
  response(typeUrl: string): DiscoveryResponse {
    const resources = this.#interesting(typeUrl).map(([name, content]) =>
      create(AnySchema, { typeUrl, value: this.#encode(name, content, typeUrl) }),
    );
    const versionInfo = String(this.#version);
    return create(DiscoveryResponseSchema, { typeUrl, versionInfo, nonce: String(++this.#nonce), resources });
  }

  onDeltaRequest(request: DeltaDiscoveryRequest): void {
    const { typeUrl, resourceNamesSubscribe, resourceNamesUnsubscribe, initialResourceVersions, errorDetail } = request;
    if (errorDetail !== undefined) this.nacks.push({ typeUrl, message: errorDetail.message });
    let sent = this.#sent.get(typeUrl);
    if (sent === undefined) {
      this.#sent.set(typeUrl, (sent = new Map(Object.entries(initialResourceVersions))));
      this.#wanted.set(typeUrl, resourceNamesSubscribe.length === 0 ? 'all' : new Set());
    }
    const wanted = this.#wanted.get(typeUrl)!;
    for (const name of resourceNamesSubscribe)
      if (wanted === 'all') sent.delete(name);
      else {
        wanted.add(name);
        sent.delete(name);
      }
    for (const name of resourceNamesUnsubscribe)
      if (wanted !== 'all') {
        wanted.delete(name);
        sent.delete(name);
      }
  }

  /** What the client lacks or has in another version; undefined: nothing. */
  deltaResponse(typeUrl: string): DeltaDiscoveryResponse | undefined {
    const sent = this.#sent.get(typeUrl);
    if (sent === undefined) return undefined;
    const present = new Map(this.#interesting(typeUrl));
    const changed = [...present].filter(([name, content]) => sent.get(name) !== content);
    const removedResources = [...sent.keys()].filter((name) => !present.has(name));
    if (changed.length === 0 && removedResources.length === 0) return undefined;
    for (const [name, content] of changed) sent.set(name, content);
    for (const name of removedResources) sent.delete(name);
    return create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce: String(++this.#nonce),
      systemVersionInfo: String(this.#version),
      removedResources,
      resources: changed.map(([name, content]) => ({
        name,
        version: content,
        resource: create(AnySchema, { typeUrl, value: this.#encode(name, content, typeUrl) }),
      })),
    });
  }

  #interesting(typeUrl: string): [string, string][] {
    const wanted = this.#wanted.get(typeUrl);
    if (wanted === undefined) return [];
    return [...(this.state.get(typeUrl) ?? [])].filter(
      ([name]) => wanted === 'all' || wanted.has(name) || [...wanted].some((each) => isInCollection(name, each)),
    );
  }
}

/** `collection`: `xdstp://authority/type/some/*?context`, and the name is spelled like it. */
function isInCollection(name: string, collection: string): boolean {
  const [before = '', after] = collection.split('/*');
  if (after === undefined || !name.startsWith(`${before}/`) || !name.endsWith(after)) return false;
  return !name.slice(before.length + 1, name.length - after.length).includes('/');
}
