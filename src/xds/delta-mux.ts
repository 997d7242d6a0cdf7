import { create } from '@bufbuild/protobuf';
import { durationMs } from '../api/duration.ts';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { collectionOf, isXdstp } from '../config/xdstp-name.ts';
import { MuxCore, type WatchedType, type XdsMuxOptions } from './mux-core.ts';
import type { ResourceWatcher, Verdict, XdsResource, XdsWatch } from './resource-update.ts';
import type { XdsMux } from './xds-mux.ts';

/** What is known of one resource type. */
interface TypeState extends WatchedType {
  /** Name -> version of everything that was accepted and not removed. */
  readonly versions: Map<string, string>;
  /** Names that this stream's server knows we want. */
  readonly asking: Set<string>;
  /** Names to ask for, and to give up, with the next request. */
  readonly subscribe: Set<string>;
  readonly unsubscribe: Set<string>;
  /** The wildcard has to be asked for, or given up, by name. */
  wildcard: 'none' | 'implicit' | 'explicit';
}

/**
 * The incremental variant of xDS: requests say what has become interesting or uninteresting, responses what has
 * changed; each resource has a version of its own, and a new stream begins with what is held.
 */
export class DeltaMux implements XdsMux<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  readonly #core: MuxCore<TypeState, DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

  constructor(options: XdsMuxOptions) {
    this.#core = new MuxCore<TypeState, DeltaDiscoveryRequest, DeltaDiscoveryResponse>(options, {
      isWhole: false,
      newType: (type) => ({
        ...type,
        versions: new Map(),
        asking: new Set(),
        subscribe: new Set(),
        unsubscribe: new Set(),
        wildcard: 'none',
      }),
      forget: (state) => state.versions.clear(),
      onInterest: (state, added, removed) => this.#onInterest(state, added, removed),
      onExpired: (state, name) => {
        state.versions.delete(name);
        void state.watches.dispatch({ version: '', set: [], removed: [name] });
      },
      onStreamOpen: (state, newServer) => {
        state.subscribe.clear();
        state.unsubscribe.clear();
        if (!state.watches.isEmpty) this.#requestFirst(state, newServer);
      },
      requestChanges: (state) => this.#requestWhatChanged(state),
      process: (state, response) => this.#apply(state, response),
      finish: (state, response, error) => this.#finish(state, response, error),
    });
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    return this.#core.watch(typeUrl, names, watcher);
  }

  onStreamOpen(send: (request: DeltaDiscoveryRequest) => void, newServer = false): void {
    this.#core.onStreamOpen(send, newServer);
  }

  hold(typeUrl: string): void {
    this.#core.hold(typeUrl);
  }

  release(typeUrl: string): void {
    this.#core.release(typeUrl);
  }

  onStreamClosed(): void {
    this.#core.onStreamClosed();
  }

  onResponse(response: DeltaDiscoveryResponse): void {
    this.#core.onResponse(response);
  }

  close(): void {
    this.#core.close();
  }

  #finish(state: TypeState, { nonce, systemVersionInfo }: DeltaDiscoveryResponse, error: string): void {
    // Changes of interest are messages of their own, and go before the acknowledgement.
    this.#core.flush();
    if (error === '') {
      state.pacer.accepted();
      return this.#request(state, { responseNonce: nonce });
    }
    this.#core.refuse(state, 'delta config', systemVersionInfo, error, (errorDetail) =>
      this.#request(state, { responseNonce: nonce, errorDetail }),
    );
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

  #onInterest(state: TypeState, added: readonly string[], removed: readonly string[]): void {
    for (const name of added) {
      state.unsubscribe.delete(name);
      state.subscribe.add(name);
      // Somebody needs it anew: a server that hears of it on the next stream only must not think we are served.
      forgetVersions(state, name);
    }
    for (const name of removed) {
      state.subscribe.delete(name);
      // What was asked for and given up before anything left the server needn't know.
      if (state.asking.has(name)) state.unsubscribe.add(name);
      if (!state.watches.isWildcard) forgetVersions(state, name);
    }
  }

  #requestWhatChanged(state: TypeState): void {
    if (!state.asked) {
      if (!state.watches.isEmpty) this.#requestFirst(state);
      return;
    }
    this.#updateWildcard(state);
    if (state.subscribe.size > 0 || state.unsubscribe.size > 0) this.#requestChanges(state);
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
    this.#core.send(state, (node) =>
      create(DeltaDiscoveryRequestSchema, { typeUrl: state.typeUrl, ...(node !== undefined && { node }), ...fields }),
    );
  }
}

/** Forgets what is held under a name, or of the collection of that name. */
function forgetVersions({ versions }: TypeState, name: string): void {
  versions.delete(name);
  if (!isXdstp(name)) return;
  for (const held of versions.keys()) if (isXdstp(held) && collectionOf(held) === name) versions.delete(held);
}
