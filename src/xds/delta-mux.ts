import { create } from '@bufbuild/protobuf';
import { durationMs } from '../api/duration.ts';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { StatusSchema } from '../api/generated/google/rpc/status_pb.js';
import { NackPacer } from './nack-pacer.ts';
import { ResponseQueue } from './response-queue.ts';
import { ResourceTtls } from './resource-ttl.ts';
import type { ResourceWatcher, Verdict, XdsResource, XdsWatch } from './resource-update.ts';
import type { XdsMuxOptions } from './sotw-mux.ts';
import { WatchSet } from './watch-set.ts';
import type { XdsMux } from './xds-mux.ts';

const INTERNAL = 13;

/** What is known of one resource type. */
interface TypeState {
  readonly typeUrl: string;
  readonly watches: WatchSet;
  readonly ttls: ResourceTtls;
  readonly pacer: NackPacer;
  /** Name -> version of everything that was accepted and not removed. */
  readonly versions: Map<string, string>;
  /** Names that this stream's server knows we want. */
  readonly asking: Set<string>;
  /** Names to ask for, and to give up, with the next request. */
  readonly subscribe: Set<string>;
  readonly unsubscribe: Set<string>;
  /** The wildcard has to be asked for, or given up, by name. */
  wildcard: 'none' | 'implicit' | 'explicit';
  /** A request has left on this stream. */
  asked: boolean;
}

/**
 * The incremental variant of xDS: requests say what has become interesting or uninteresting, responses what has
 * changed; each resource has a version of its own, and a new stream begins with what is held.
 */
export class DeltaMux implements XdsMux<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  readonly #options: XdsMuxOptions;
  readonly #types = new Map<string, TypeState>();
  readonly #dirty = new Set<TypeState>();
  #send: ((request: DeltaDiscoveryRequest) => void) | undefined = undefined;
  #nodeSent = false;
  readonly #responses = new ResponseQueue<DeltaDiscoveryResponse>(
    (response) => this.#process(response),
    (response, error) => this.#finish(response, error),
  );
  #flushDeferred = false;

  constructor(options: XdsMuxOptions) {
    this.#options = options;
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const state = this.#state(typeUrl);
    // Who comes late has heard nothing of what was said before.
    if (names === undefined && state.watches.isEmpty) state.versions.clear();
    return state.watches.add(names, watcher);
  }

  onStreamOpen(send: (request: DeltaDiscoveryRequest) => void, newServer = false): void {
    this.#send = send;
    this.#nodeSent = false;
    this.#dirty.clear();
    this.#responses.reset();
    for (const state of this.#types.values()) {
      state.asked = false;
      state.pacer.stop();
      state.subscribe.clear();
      state.unsubscribe.clear();
      if (!state.watches.isEmpty) this.#requestFirst(state, newServer);
    }
  }

  onStreamClosed(): void {
    this.#send = undefined;
    this.#responses.reset();
    for (const state of this.#types.values()) {
      state.pacer.stop();
      state.watches.connectionFailed();
    }
  }

  onResponse(response: DeltaDiscoveryResponse): void {
    this.#responses.add(response);
  }

  #process(response: DeltaDiscoveryResponse): Verdict {
    const state = this.#types.get(response.typeUrl);
    if (state !== undefined) return this.#apply(state, response);
    this.#options.warn(`ignoring a response of type ${response.typeUrl}, which nobody asked for`);
    return '';
  }

  #finish({ typeUrl, nonce, systemVersionInfo }: DeltaDiscoveryResponse, error: string): void {
    const state = this.#types.get(typeUrl);
    if (state === undefined) return;
    // Changes of interest are messages of their own, and go before the acknowledgement.
    this.#flush();
    if (error === '') {
      state.pacer.accepted();
      this.#request(state, { responseNonce: nonce });
    } else {
      this.#options.warn(`delta config for ${typeUrl} rejected: ${error}`);
      state.watches.rejected(error);
      const errorDetail = create(StatusSchema, { code: INTERNAL, message: error });
      state.pacer.nack(systemVersionInfo, error, () => this.#request(state, { responseNonce: nonce, errorDetail }));
    }
  }

  close(): void {
    for (const { pacer, ttls } of this.#types.values()) {
      pacer.stop();
      ttls.close();
    }
  }

  #apply(
    state: TypeState,
    { resources, removedResources, systemVersionInfo, typeUrl }: DeltaDiscoveryResponse,
  ): Verdict {
    const set: XdsResource[] = [];
    const names = new Set<string>();
    for (const { name, aliases, version, resource, ttl } of resources) {
      if (names.has(name)) return `duplicate name ${name} found among added/updated resources`;
      names.add(name);
      if (resource !== undefined && resource.typeUrl !== typeUrl)
        return `type URL ${resource.typeUrl} embedded in an individual Any does not match the message-wide type URL ${typeUrl} in DeltaDiscoveryResponse`;
      const ttlMs = durationMs(ttl);
      if (ttlMs !== undefined || resource !== undefined) state.ttls.set(name, ttlMs);
      if (resource === undefined) continue;
      const known = [name, ...aliases].find((each) => state.watches.wants(each));
      if (known !== undefined) set.push({ name: known, version, value: resource.value });
    }
    for (const name of removedResources)
      if (names.has(name)) return `duplicate name ${name} found in the union of added+removed resources`;
    for (const name of removedResources) state.ttls.set(name, undefined);
    const settle = (error: string): string => {
      if (error !== '') return error;
      for (const { name, version } of set) state.versions.set(name, version);
      for (const name of removedResources) state.versions.delete(name);
      return '';
    };
    const verdict = state.watches.dispatch({ version: systemVersionInfo, set, removed: removedResources });
    return typeof verdict === 'string' ? settle(verdict) : verdict.then(settle);
  }

  #state(typeUrl: string): TypeState {
    let state = this.#types.get(typeUrl);
    if (state === undefined) {
      const made: TypeState = {
        typeUrl,
        watches: new WatchSet((added, removed) => this.#onInterest(made, added, removed)),
        ttls: new ResourceTtls(this.#options.clock, (name) => {
          made.versions.delete(name);
          void made.watches.dispatch({ version: '', set: [], removed: [name] });
        }),
        pacer: new NackPacer(this.#options.clock),
        versions: new Map(),
        asking: new Set(),
        subscribe: new Set(),
        unsubscribe: new Set(),
        wildcard: 'none',
        asked: false,
      };
      this.#types.set(typeUrl, (state = made));
    }
    return state;
  }

  #onInterest(state: TypeState, added: readonly string[], removed: readonly string[]): void {
    for (const name of added) {
      state.unsubscribe.delete(name);
      state.subscribe.add(name);
      // Somebody needs it anew: a server that hears of it on the next stream only must not think we are served.
      state.versions.delete(name);
    }
    for (const name of removed) {
      state.subscribe.delete(name);
      // What was asked for and given up before anything left the server needn't know.
      if (state.asking.has(name)) state.unsubscribe.add(name);
      if (!state.watches.isWildcard) state.versions.delete(name);
    }
    this.#markDirty(state);
  }

  #markDirty(state: TypeState): void {
    this.#dirty.add(state);
    if (this.#responses.isBusy || this.#flushDeferred) return;
    this.#flushDeferred = true;
    (this.#options.defer ?? queueMicrotask)(() => {
      this.#flushDeferred = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#send === undefined || this.#responses.isBusy) return;
    for (const state of this.#dirty) {
      this.#dirty.delete(state);
      if (!state.asked) {
        if (!state.watches.isEmpty) this.#requestFirst(state);
        continue;
      }
      this.#updateWildcard(state);
      if (state.subscribe.size > 0 || state.unsubscribe.size > 0) this.#requestChanges(state);
    }
  }

  /** On a stream that knows the type already the wildcard is a name like others. */
  #updateWildcard(state: TypeState): void {
    const { isWildcard } = state.watches;
    if (isWildcard && state.wildcard === 'none') {
      state.subscribe.add('*');
      state.wildcard = 'explicit';
    } else if (!isWildcard && state.wildcard !== 'none') {
      state.unsubscribe.add('*');
      state.wildcard = 'none';
    }
  }

  #requestFirst(state: TypeState, newServer = false): void {
    const { watches, versions } = state;
    const names = watches.names;
    state.subscribe.clear();
    state.unsubscribe.clear();
    state.asking.clear();
    for (const name of names) state.asking.add(name);
    state.wildcard = watches.isWildcard ? (names.length > 0 ? 'explicit' : 'implicit') : 'none';
    this.#request(state, {
      resourceNamesSubscribe: state.wildcard === 'explicit' ? ['*', ...names] : [...names],
      initialResourceVersions: newServer ? {} : Object.fromEntries(versions),
    });
  }

  #requestChanges(state: TypeState): void {
    const resourceNamesSubscribe = [...state.subscribe];
    const resourceNamesUnsubscribe = [...state.unsubscribe];
    for (const name of resourceNamesSubscribe) state.asking.add(name);
    for (const name of resourceNamesUnsubscribe) state.asking.delete(name);
    state.subscribe.clear();
    state.unsubscribe.clear();
    this.#request(state, { resourceNamesSubscribe, resourceNamesUnsubscribe });
  }

  #request(state: TypeState, fields: Partial<Omit<DeltaDiscoveryRequest, '$typeName' | '$unknown'>>): void {
    if (this.#send === undefined) return;
    const withNode = !this.#nodeSent || !this.#options.nodeOnFirstMessageOnly;
    this.#nodeSent = true;
    state.asked = true;
    const { typeUrl } = state;
    const node = withNode ? { node: this.#options.node } : {};
    this.#send(create(DeltaDiscoveryRequestSchema, { typeUrl, ...node, ...fields }));
  }
}
