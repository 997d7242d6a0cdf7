import { create } from '@bufbuild/protobuf';
import {
  DiscoveryRequestSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { Status } from '../api/generated/google/rpc/status_pb.js';
import { MuxCore, type WatchedType, type XdsMuxOptions } from './mux-core.ts';
import { readResource } from './response-resource.ts';
import { isWholeState } from './resource-type.ts';
import type { ResourceWatcher, Verdict, XdsResource, XdsWatch } from './resource-update.ts';
import type { XdsMux } from './xds-mux.ts';

/** What is known of one resource type. */
interface TypeState extends WatchedType {
  /** Of the last response that was accepted. */
  version: string;
  /** Of the last response on this stream. */
  nonce: string;
  /** Names of the whole state that was accepted last (LDS, CDS). */
  held: ReadonlySet<string>;
  /** A name was asked for once: an empty list now means none, not all. */
  named: boolean;
}

/**
 * The state-of-the-world variant of xDS (Envoy's docs, "xDS REST and gRPC protocol"): each request names everything
 * that is wanted, each response holds a whole version, which is acknowledged or refused as a whole.
 */
export class SotwMux implements XdsMux<DiscoveryRequest, DiscoveryResponse> {
  readonly #core: MuxCore<TypeState, DiscoveryRequest, DiscoveryResponse>;

  constructor(options: XdsMuxOptions) {
    this.#core = new MuxCore<TypeState, DiscoveryRequest, DiscoveryResponse>(options, {
      isWhole: true,
      newType: (type) => ({ ...type, version: '', nonce: '', held: new Set(), named: false }),
      forget: (state) => {
        state.version = '';
        state.held = new Set();
      },
      onInterest: (state, added) => {
        if (added.length > 0) state.named = true;
      },
      onExpired: (state, name) => {
        state.held = new Set([...state.held].filter((other) => other !== name));
        void state.watches.dispatch({ version: state.version, set: [], removed: [name] });
      },
      onStreamOpen: (state) => {
        state.nonce = '';
        if (!state.watches.isEmpty) this.#request(state);
      },
      requestChanges: (state) => {
        if (!state.watches.isEmpty || state.asked) this.#request(state);
      },
      process: (state, response) => this.#process(state, response),
      finish: (state, response, error) => this.#finish(state, response, error),
    });
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    return this.#core.watch(typeUrl, names, watcher);
  }

  onStreamOpen(send: (request: DiscoveryRequest) => void): void {
    this.#core.onStreamOpen(send);
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

  onResponse(response: DiscoveryResponse): void {
    this.#core.onResponse(response);
  }

  close(): void {
    this.#core.close();
  }

  #process(state: TypeState, response: DiscoveryResponse): Verdict {
    state.nonce = response.nonce;
    if (!state.watches.isEmpty) return this.#apply(state, response);
    // Nobody is interested any more. What holds something is left unacknowledged, as in Envoy.
    if (response.resources.length === 0) state.version = response.versionInfo;
    return '';
  }

  #finish(state: TypeState, { versionInfo }: DiscoveryResponse, error: string): void {
    if (state.watches.isEmpty) return this.#core.flush();
    // Interests that this response gave rise to go first: a control plane that waits for the acknowledgement of
    // clusters then knows already which endpoints are wanted.
    this.#core.flush(state);
    if (error === '') {
      state.version = versionInfo;
      state.pacer.accepted();
      this.#request(state);
      return;
    }
    this.#core.refuse(state, 'gRPC config', versionInfo, error, (errorDetail) => this.#request(state, errorDetail));
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

  #request(state: TypeState, errorDetail?: Status): void {
    this.#core.send(state, (node) => {
      const { watches, typeUrl } = state;
      const names = watches.isWildcard && state.named ? ['*', ...watches.names] : watches.names;
      return create(DiscoveryRequestSchema, {
        typeUrl,
        versionInfo: state.version,
        responseNonce: state.nonce,
        resourceNames: [...names],
        ...(node !== undefined && { node }),
        ...(errorDetail !== undefined && { errorDetail }),
      });
    });
  }
}
