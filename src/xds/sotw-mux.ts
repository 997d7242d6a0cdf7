import { create } from '@bufbuild/protobuf';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import {
  DiscoveryRequestSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { StatusSchema } from '../api/generated/google/rpc/status_pb.js';
import type { Clock } from '../lib/clock.ts';
import { NackPacer } from './nack-pacer.ts';
import { readResource } from './response-resource.ts';
import { ResponseQueue } from './response-queue.ts';
import { ResourceTtls } from './resource-ttl.ts';
import { isWholeState } from './resource-type.ts';
import type { ResourceWatcher, Verdict, XdsResource, XdsWatch } from './resource-update.ts';
import { WatchSet } from './watch-set.ts';
import type { XdsMux } from './xds-mux.ts';

const INTERNAL = 13;

export interface XdsMuxOptions {
  readonly clock: Clock;
  readonly node: Node;
  /** Only the first request of a stream carries the node. */
  readonly nodeOnFirstMessageOnly: boolean;
  /** Runs a callback when the present job of the event loop is done; `queueMicrotask` by default. */
  readonly defer?: (callback: () => void) => void;
  readonly warn: (message: string) => void;
}

/** What is known of one resource type. */
interface TypeState {
  readonly typeUrl: string;
  readonly watches: WatchSet;
  readonly ttls: ResourceTtls;
  readonly pacer: NackPacer;
  /** Of the last response that was accepted. */
  version: string;
  /** Of the last response on this stream. */
  nonce: string;
  /** Names of the whole state that was accepted last (LDS, CDS). */
  held: ReadonlySet<string>;
  /** A name was asked for once: an empty list now means none, not all. */
  named: boolean;
  /** A request has left on this stream. */
  asked: boolean;
}

/**
 * The state-of-the-world variant of xDS (Envoy's docs, "xDS REST and gRPC protocol"): each request names everything
 * that is wanted, each response holds a whole version, which is acknowledged or refused as a whole.
 */
export class SotwMux implements XdsMux<DiscoveryRequest, DiscoveryResponse> {
  readonly #options: XdsMuxOptions;
  readonly #types = new Map<string, TypeState>();
  /** Types whose interest has changed since their last request. */
  readonly #dirty = new Set<TypeState>();
  #send: ((request: DiscoveryRequest) => void) | undefined = undefined;
  #nodeSent = false;
  readonly #responses = new ResponseQueue<DiscoveryResponse>(
    (response) => this.#process(response),
    (response, error) => this.#finish(response, error),
  );
  #flushDeferred = false;

  constructor(options: XdsMuxOptions) {
    this.#options = options;
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const state = this.#state(typeUrl);
    if (names === undefined && state.watches.isEmpty) {
      // Who comes late has heard nothing of what was said before.
      state.version = '';
      state.held = new Set();
    }
    return state.watches.add(names, watcher);
  }

  onStreamOpen(send: (request: DiscoveryRequest) => void): void {
    this.#send = send;
    this.#nodeSent = false;
    this.#dirty.clear();
    this.#responses.reset();
    for (const state of this.#types.values()) {
      state.nonce = '';
      state.asked = false;
      state.pacer.stop();
      if (!state.watches.isEmpty) this.#request(state);
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

  onResponse(response: DiscoveryResponse): void {
    this.#responses.add(response);
  }

  #process(response: DiscoveryResponse): Verdict {
    const { typeUrl, nonce, versionInfo } = response;
    const state = this.#types.get(typeUrl);
    if (state === undefined) {
      this.#options.warn(`ignoring a response of type ${typeUrl}, which nobody asked for`);
      return '';
    }
    state.nonce = nonce;
    if (state.watches.isEmpty) {
      // Nobody is interested any more. What holds something is left unacknowledged, as in Envoy.
      if (response.resources.length === 0) state.version = versionInfo;
      return '';
    }
    return this.#apply(state, response);
  }

  #finish({ typeUrl, versionInfo }: DiscoveryResponse, error: string): void {
    const state = this.#types.get(typeUrl);
    if (state === undefined || state.watches.isEmpty) return this.#flush();
    // Interests that this response gave rise to go first: a control plane that waits for the acknowledgement of
    // clusters then knows already which endpoints are wanted.
    this.#dirty.delete(state);
    this.#flush();
    if (error === '') {
      state.version = versionInfo;
      state.pacer.accepted();
      this.#request(state);
      return;
    }
    this.#options.warn(`gRPC config for ${typeUrl} rejected: ${error}`);
    state.watches.rejected(error);
    state.pacer.nack(versionInfo, error, () => this.#request(state, error));
  }

  close(): void {
    for (const { pacer, ttls } of this.#types.values()) {
      pacer.stop();
      ttls.close();
    }
  }

  #apply(state: TypeState, { resources, typeUrl, versionInfo }: DiscoveryResponse): Verdict {
    const set: XdsResource[] = [];
    const names = new Set<string>();
    for (const any of resources) {
      const read = readResource(any, typeUrl);
      if (typeof read === 'string') return read;
      const { name, value, ttlMs, version } = read;
      if (names.has(name)) return `duplicate resource ${name} found`;
      names.add(name);
      state.ttls.set(name, ttlMs);
      // Without a body it is a heartbeat.
      if (value !== undefined && state.watches.wants(name))
        set.push({ name, version: version === '' ? versionInfo : version, value });
    }
    if (!isWholeState(typeUrl)) return state.watches.dispatch({ version: versionInfo, set, removed: [] });
    const removed = [...state.held].filter((name) => !names.has(name));
    const settle = (error: string): string => {
      // After a refusal some of both may be there.
      state.held = error === '' ? names : new Set([...names, ...state.held]);
      return error;
    };
    const verdict = state.watches.dispatch({ version: versionInfo, set, removed });
    return typeof verdict === 'string' ? settle(verdict) : verdict.then(settle);
  }

  #state(typeUrl: string): TypeState {
    let state = this.#types.get(typeUrl);
    if (state === undefined) {
      const made: TypeState = {
        typeUrl,
        watches: new WatchSet((added) => {
          if (added.length > 0) made.named = true;
          this.#markDirty(made);
        }),
        ttls: new ResourceTtls(this.#options.clock, (name) => this.#expire(made, name)),
        pacer: new NackPacer(this.#options.clock),
        version: '',
        nonce: '',
        held: new Set(),
        named: false,
        asked: false,
      };
      this.#types.set(typeUrl, (state = made));
    }
    return state;
  }

  #expire(state: TypeState, name: string): void {
    state.held = new Set([...state.held].filter((other) => other !== name));
    void state.watches.dispatch({ version: state.version, set: [], removed: [name] });
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
      if (!state.watches.isEmpty || state.asked) this.#request(state);
    }
  }

  #request(state: TypeState, error = ''): void {
    if (this.#send === undefined) return;
    const { watches, typeUrl } = state;
    const names = watches.isWildcard && state.named ? ['*', ...watches.names] : watches.names;
    const withNode = !this.#nodeSent || !this.#options.nodeOnFirstMessageOnly;
    this.#nodeSent = true;
    state.asked = true;
    this.#send(
      create(DiscoveryRequestSchema, {
        typeUrl,
        versionInfo: state.version,
        responseNonce: state.nonce,
        resourceNames: [...names],
        ...(withNode && { node: this.#options.node }),
        ...(error !== '' && { errorDetail: create(StatusSchema, { code: INTERNAL, message: error }) }),
      }),
    );
  }
}
