import type { Any } from '@bufbuild/protobuf/wkt';

/** A listener, cluster, route configuration, ... as it goes to a proxy. */
export interface Resource {
  readonly typeUrl: string;
  /** Unique among the resources of its type that one proxy sees. */
  readonly name: string;
  /** A hash of the content: the same content has the same version, also after a restart of this server. */
  readonly version: string;
  readonly any: Any;
}

/** Type URL -> name -> resource. */
export type Resources = ReadonlyMap<string, ReadonlyMap<string, Resource>>;

/** What a proxy says of itself in the first message of a stream: `node` in its bootstrap. */
export interface NodeName {
  readonly id: string;
  readonly cluster: string;
}

/** What there is of a type, without having to look whether there is anything. */
export function ofType(resources: Resources, typeUrl: string): ReadonlyMap<string, Resource> {
  return resources.get(typeUrl) ?? NONE;
}

const NONE: ReadonlyMap<string, Resource> = new Map();
