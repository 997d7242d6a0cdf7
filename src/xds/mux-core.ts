import { create } from '@bufbuild/protobuf';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import { StatusSchema, type Status } from '../api/generated/google/rpc/status_pb.js';
import type { Clock } from '../lib/clock.ts';
import { GRPC_STATUS } from './grpc-channel.ts';
import { NackPacer } from './nack-pacer.ts';
import { ResourceTtls } from './resource-ttl.ts';
import type { ResourceWatcher, Verdict, XdsWatch } from './resource-update.ts';
import { ResponseQueue } from './response-queue.ts';
import { WatchSet } from './watch-set.ts';
import type { XdsMux } from './xds-mux.ts';

export interface XdsMuxOptions {
  readonly clock: Clock;
  readonly node: Node;
  /** Only the first request of a stream carries the node. */
  readonly nodeOnFirstMessageOnly: boolean;
  /** Runs a callback when the present job of the event loop is done; `queueMicrotask` by default. */
  readonly defer?: (callback: () => void) => void;
  readonly warn: (message: string) => void;
}

/** What is known of one resource type, whatever the variant of the protocol. */
export interface WatchedType {
  readonly typeUrl: string;
  readonly watches: WatchSet;
  readonly ttls: ResourceTtls;
  readonly pacer: NackPacer;
  /** A request has left on this stream. */
  asked: boolean;
}

/** What the variants of the protocol do differently. They send through MuxCore. */
export interface MuxVariant<Type extends WatchedType, Response> {
  /** A request says all that those before it said: of those that are held, the last one is sent. */
  readonly isWhole: boolean;
  newType(type: WatchedType): Type;
  /** Somebody wants everything of a type that nobody watched before. */
  forget(type: Type): void;
  /** Names, or the wildcard, became of interest or stopped being so; `requestChanges` is called later. */
  onInterest(type: Type, added: readonly string[], removed: readonly string[]): void;
  onExpired(type: Type, name: string): void;
  /** A new stream; somebody watches, or did. */
  onStreamOpen(type: Type, newServer: boolean): void;
  requestChanges(type: Type): void;
  process(type: Type, response: Response): Verdict;
  /** With the verdict of `process`. */
  finish(type: Type, response: Response, error: string): void;
}

/**
 * The shared part of SotwMux and DeltaMux: the types that are watched, responses one after the other, and requests: those
 * that follow from changes of interest gathered until the present job of the event loop is done, none without a stream,
 * the first with the node.
 */
export class MuxCore<
  Type extends WatchedType,
  Request,
  Response extends { readonly typeUrl: string },
> implements XdsMux<Request, Response> {
  readonly #options: XdsMuxOptions;
  readonly #variant: MuxVariant<Type, Response>;
  readonly #types = new Map<string, Type>();
  /** Types whose interest has changed since their last request. */
  readonly #dirty = new Set<Type>();
  /** Requests of types that are held, by type URL. */
  readonly #held = new Map<string, (() => void)[]>();
  readonly #responses: ResponseQueue<Response>;
  #send: ((request: Request) => void) | undefined = undefined;
  #nodeSent = false;
  #flushDeferred = false;

  constructor(options: XdsMuxOptions, variant: MuxVariant<Type, Response>) {
    this.#options = options;
    this.#variant = variant;
    this.#responses = new ResponseQueue<Response>(
      (response) => this.#process(response),
      (response, error) => this.#finish(response, error),
    );
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    const type = this.#type(typeUrl);
    // Who comes late has heard nothing of what was said before.
    if (names === undefined && type.watches.isEmpty) this.#variant.forget(type);
    return type.watches.add(names, watcher);
  }

  onStreamOpen(send: (request: Request) => void, newServer = false): void {
    this.#send = send;
    this.#nodeSent = false;
    this.#dirty.clear();
    this.#responses.reset();
    for (const typeUrl of this.#held.keys()) this.#held.set(typeUrl, []);
    for (const type of this.#types.values()) {
      type.asked = false;
      type.pacer.stop();
      this.#variant.onStreamOpen(type, newServer);
    }
  }

  onStreamClosed(): void {
    this.#send = undefined;
    this.#responses.reset();
    for (const type of this.#types.values()) {
      type.pacer.stop();
      type.watches.connectionFailed();
    }
  }

  onResponse(response: Response): void {
    this.#responses.add(response);
  }

  hold(typeUrl: string): void {
    if (!this.#held.has(typeUrl)) this.#held.set(typeUrl, []);
  }

  release(typeUrl: string): void {
    const held = this.#held.get(typeUrl) ?? [];
    this.#held.delete(typeUrl);
    for (const send of this.#variant.isWhole ? held.slice(-1) : held) send();
  }

  close(): void {
    for (const { pacer, ttls } of this.#types.values()) {
      pacer.stop();
      ttls.close();
    }
  }

  /** Sends the requests that changes of interest have made necessary; `except`: the next request of this type does it. */
  flush(except?: Type): void {
    if (except !== undefined) this.#dirty.delete(except);
    if (this.#send === undefined || this.#responses.isBusy) return;
    for (const type of this.#dirty) {
      this.#dirty.delete(type);
      this.#variant.requestChanges(type);
    }
  }

  /** Sends what `make` makes, if there is a stream; `node` is undefined where the server knows it. */
  send(type: Type, make: (node: Node | undefined) => Request): void {
    if (this.#send === undefined) return;
    const held = this.#held.get(type.typeUrl);
    if (held !== undefined) {
      held.push(() => this.send(type, make));
      return;
    }
    const node = this.#nodeSent && this.#options.nodeOnFirstMessageOnly ? undefined : this.#options.node;
    this.#nodeSent = true;
    type.asked = true;
    this.#send(make(node));
  }

  /** Refuses a response: everybody is told, and `send` is called with why, at once or when it is time. */
  refuse(type: Type, kind: string, version: string, error: string, send: (errorDetail: Status) => void): void {
    this.#options.warn(`${kind} for ${type.typeUrl} rejected: ${error}`);
    type.watches.rejected(error);
    type.pacer.nack(version, error, () => send(create(StatusSchema, { code: GRPC_STATUS.INTERNAL, message: error })));
  }

  #process(response: Response): Verdict {
    const type = this.#types.get(response.typeUrl);
    if (type !== undefined) return this.#variant.process(type, response);
    this.#options.warn(`ignoring a response of type ${response.typeUrl}, which nobody asked for`);
    return '';
  }

  #finish(response: Response, error: string): void {
    const type = this.#types.get(response.typeUrl);
    if (type !== undefined) this.#variant.finish(type, response, error);
  }

  #type(typeUrl: string): Type {
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      const { clock } = this.#options;
      const made: Type = this.#variant.newType({
        typeUrl,
        watches: new WatchSet((added, removed) => {
          this.#variant.onInterest(made, added, removed);
          this.#markDirty(made);
        }),
        ttls: new ResourceTtls(clock, (name) => this.#variant.onExpired(made, name)),
        pacer: new NackPacer(clock),
        asked: false,
      });
      this.#types.set(typeUrl, (type = made));
    }
    return type;
  }

  #markDirty(type: Type): void {
    this.#dirty.add(type);
    if (this.#responses.isBusy || this.#flushDeferred) return;
    this.#flushDeferred = true;
    (this.#options.defer ?? queueMicrotask)(() => {
      this.#flushDeferred = false;
      this.flush();
    });
  }
}
