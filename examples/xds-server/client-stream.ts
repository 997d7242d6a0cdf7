import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { kindOf, RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { ofType, type NodeName, type Resource, type Resources } from './resource.ts';

/** What a proxy sent, in either variant of the protocol. */
export interface Request {
  readonly typeUrl: string;
  /** Only the first message of a stream has to have it. */
  readonly node: NodeName | undefined;
  /** Of the response that this accepts (or, with `error`, refuses); '' if it answers none. */
  readonly nonce: string;
  readonly error: string | undefined;
  /** The names that it adds to, and takes from, what it wants; '*' is everything. */
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name -> version that it still has from an earlier stream. */
  readonly has: Readonly<Record<string, string>>;
}

/** What goes to a proxy. */
export interface Response {
  readonly typeUrl: string;
  readonly nonce: string;
  /** One for all: a hash of the versions of what the proxy has after this. */
  readonly version: string;
  /** New to this proxy, or different from what it has. */
  readonly changed: readonly Resource[];
  readonly removed: readonly string[];
  /** All that it has after this. */
  readonly whole: readonly Resource[];
}

/** What a proxy wants of one type, and what it was sent. */
interface Interest {
  readonly names: Set<string>;
  /** By name; undefined: the proxy knows that there is no such resource. */
  readonly held: Map<string, Resource | undefined>;
  /** Of the response that has not been answered. */
  pending: string | undefined;
  /** A first request gets a response even if there is nothing to say: the proxy waits for one. */
  owed: boolean;
}

const { rtds, sds, cds, eds, lds, ecds, srds, rds, vhds } = RESOURCE_TYPES;
/** Who is named by whom: a cluster has to be there before the route that leads to it. */
const ORDER = [rtds, sds, cds, eds, lds, ecds, srds, rds, vhds] as const;

/**
 * One proxy's stream: remembers what it wants and has, and decides what to send when. The variants of the protocol
 * (state of the world, delta) only differ in how their messages look.
 *
 * The order is "make before break": additions and changes go out as the types depend on each other, and each type
 * waits until the one before it was accepted (but for endpoints: clusters may be waiting for them); what is no longer
 * there goes last, in reverse order. So no route leads to a cluster that the proxy doesn't have yet, or doesn't have
 * any more.
 */
export class ClientStream {
  readonly #send: (response: Response) => void;
  readonly #log: (line: string) => void;
  readonly #resources: (node: NodeName) => Resources;
  readonly #interests = new Map<string, Interest>();
  #node: NodeName = { id: '', cluster: '' };
  #nonce = 0;

  constructor(
    resources: (node: NodeName) => Resources,
    send: (response: Response) => void,
    log: (line: string) => void,
  ) {
    this.#resources = resources;
    this.#send = send;
    this.#log = log;
  }

  get node(): NodeName {
    return this.#node;
  }

  /** The names of a type that the proxy wants; undefined before its first request for it. */
  namesOf(typeUrl: string): ReadonlySet<string> | undefined {
    return this.#interests.get(typeUrl)?.names;
  }

  onRequest(request: Request): void {
    const { typeUrl, node, nonce, error, subscribe, unsubscribe, has } = request;
    if (node !== undefined) this.#node = node;
    let interest = this.#interests.get(typeUrl);
    if (interest === undefined) {
      interest = { names: new Set(), held: new Map(), pending: undefined, owed: true };
      this.#interests.set(typeUrl, interest);
      for (const [name, version] of Object.entries(has)) interest.held.set(name, this.#known(typeUrl, name, version));
    }
    for (const name of subscribe) {
      interest.names.add(name);
      // Asking again for what it has been told means that it has forgotten.
      if (has[name] === undefined) interest.held.delete(name);
    }
    for (const name of unsubscribe) {
      interest.names.delete(name);
      if (!interest.names.has('*')) interest.held.delete(name);
    }
    if (nonce !== '' && nonce === interest.pending) {
      interest.pending = undefined;
      if (error !== undefined) this.#log(`${this.#node.id} refused ${labelOf(typeUrl)}: ${error.trim()}`);
    }
    this.push();
  }

  /** Sends what the proxy lacks, as far as its turn has come. To be called whenever the resources may have changed. */
  push(): void {
    const resources = this.#resources(this.#node);
    // Envoy doesn't accept clusters until they are warm, which takes their endpoints.
    let isWarming = false;
    for (const typeUrl of ORDER) {
      const interest = this.#interests.get(typeUrl);
      if (interest === undefined) continue;
      if (isWarming && typeUrl !== eds) return;
      if (interest.pending !== undefined) {
        if (typeUrl !== cds) return;
        isWarming = true;
        continue;
      }
      const present = ofType(resources, typeUrl);
      const wanted = interest.names.has('*') ? [...present.values()] : [...interest.names].map((n) => present.get(n));
      const changed = wanted.filter((item) => item !== undefined && item.version !== versionOf(interest, item.name));
      const missing = [...interest.names].filter(
        (name) => name !== '*' && !present.has(name) && !interest.held.has(name),
      );
      if (changed.length === 0 && missing.length === 0 && !interest.owed) continue;
      this.#respond(typeUrl, interest, changed as Resource[], missing);
      if (typeUrl !== cds) return;
      isWarming = true;
    }
    if (isWarming) return;
    for (const typeUrl of ORDER.toReversed()) {
      const interest = this.#interests.get(typeUrl);
      if (interest === undefined) continue;
      const present = ofType(resources, typeUrl);
      const gone = [...interest.held].filter(([name, item]) => item !== undefined && !present.has(name));
      if (gone.length === 0) continue;
      const removed = gone.map(([name]) => name);
      return this.#respond(typeUrl, interest, [], removed);
    }
  }

  #respond(typeUrl: string, interest: Interest, changed: readonly Resource[], removed: readonly string[]): void {
    const { held, names } = interest;
    for (const resource of changed) held.set(resource.name, resource);
    // A cluster that changed is a new one to Envoy: it waits for its endpoints again, and doesn't ask for them.
    if (typeUrl === cds) for (const cluster of changed) this.#interests.get(eds)?.held.delete(assignmentOf(cluster));
    for (const name of removed)
      if (names.has(name)) held.set(name, undefined);
      else held.delete(name);
    const whole = [...held.values()].filter((item) => item !== undefined);
    const nonce = String(++this.#nonce);
    interest.pending = nonce;
    interest.owed = false;
    const version = hash(whole.map((item) => `${item.name} ${item.version}`).sort());
    const what = [...changed.map(({ name }) => name), ...removed.map((name) => `-${name}`)].join(' ');
    this.#log(`${this.#node.id} <- ${labelOf(typeUrl)} ${what === '' ? '(none)' : what}`);
    this.#send({ typeUrl, nonce, version, changed, removed, whole });
  }

  /** What the proxy says that it has: ours if the version is, else something that is to be replaced or removed. */
  #known(typeUrl: string, name: string, version: string): Resource {
    const ours = ofType(this.#resources(this.#node), typeUrl).get(name);
    return ours?.version === version ? ours : { typeUrl, name, version, any: NOTHING };
  }
}

const NOTHING: Resource['any'] = { $typeName: 'google.protobuf.Any', typeUrl: '', value: new Uint8Array() };

function versionOf({ held }: Interest, name: string): string | undefined {
  return held.get(name)?.version;
}

/** The name of the endpoints of a cluster. */
function assignmentOf({ name, any }: Resource): string {
  const serviceName = fromBinary(ClusterSchema, any.value).edsClusterConfig?.serviceName ?? '';
  return serviceName === '' ? name : serviceName;
}

/** `cds`, `eds`, ... */
function labelOf(typeUrl: string): string {
  return kindOf(typeUrl) ?? typeUrl;
}

function hash(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12);
}
