import type { Socket } from 'node:net';
import type { ListenerConnection, ListenerFilter, ListenerVerdict } from '../../filters/listener/filter.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { DownstreamConnectionInfo, ProxyProtocolTlv } from '../connection/connection-info.ts';
import type { Dispatcher } from '../dispatcher.ts';
import type { CompiledListenerFilter } from './listener-filters.ts';

const NOTHING = Buffer.alloc(0);
/**
 * More than any filter looks at (a PROXY protocol header is the longest, with 64 KiB): a connection with that much
 * unread is read no further until its filters are done.
 */
const MOST_BYTES = 128 * 1024;

/** Why a connection ended before it had a filter chain. */
export type PendingEnd = 'filter' | 'remote' | 'timeout';

/** Told how it went; one of the first two is called, once, in a dispatcher turn. */
export interface PendingOwner {
  readonly dispatcher: Dispatcher;
  readonly filters: readonly CompiledListenerFilter[];
  /** How long the filters may wait for bytes, in ms; 0 = as long as they like. */
  readonly filtersTimeoutMs: number;
  readonly continueOnTimeout: boolean;
  /** All filters have let it pass, or their time is up. The socket is paused, with what the filters left in it. */
  onFiltersDone(pending: PendingConnection): void;
  /** The socket is destroyed. */
  onFiltersEnded(pending: PendingConnection, why: PendingEnd): void;
  onFiltersTimeout(pending: PendingConnection): void;
  /** A filter threw. The connection ends. */
  onFilterFailed(error: unknown): void;
  originalDestination(
    socket: Socket,
    info: DownstreamConnectionInfo,
  ): { readonly ip: string; readonly port: number } | undefined;
}

/**
 * An accepted connection while the listener filters look at it (Envoy's ActiveTcpSocket). Bytes that have been looked
 * at are put back into the socket for whoever comes next.
 */
export class PendingConnection implements ListenerConnection, TimerTask {
  readonly socket: Socket;
  readonly info: DownstreamConnectionInfo;
  /** It was handed on by another listener, and stays here. */
  readonly isHandedOn: boolean;
  readonly #owner: PendingOwner;
  #index = 0;
  #filter: ListenerFilter | undefined = undefined;
  /** What has been read and not consumed: the start of `#store`, or a chunk as it came. */
  #bytes: Buffer = NOTHING;
  /** Where chunks are put together; grows by doubling. */
  #store: Buffer | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #listening = false;
  #ended = false;
  readonly #onData = (chunk: Buffer): void => this.#read(chunk);
  readonly #onClose = (): void => this.#gone();

  constructor(socket: Socket, info: DownstreamConnectionInfo, isHandedOn: boolean, owner: PendingOwner) {
    this.socket = socket;
    this.info = info;
    this.isHandedOn = isHandedOn;
    this.#owner = owner;
  }

  /** Runs the filters as far as they go. To be called once, in a dispatcher turn. */
  start(): void {
    this.#run();
  }

  /** Ends it now, without a word to the owner. */
  destroy(): void {
    this.#stop();
    const { socket } = this;
    // As the kernel ends a socket with unread bytes, which those were that we have only looked at.
    if (this.#bytes.length > 0 && this.info.directRemoteIp !== '') socket.resetAndDestroy();
    else socket.destroy();
  }

  onTimer(): void {
    if (this.#ended) return;
    this.#owner.onFiltersTimeout(this);
    if (this.#owner.continueOnTimeout) this.#done();
    else this.#end('timeout');
  }

  // ---- what filters see -------------------------------------------------------------------------------------------

  get remoteIp(): string {
    return this.info.remoteIp;
  }
  get remotePort(): number {
    return this.info.remotePort;
  }
  get localIp(): string {
    return this.info.localIp;
  }
  get localPort(): number {
    return this.info.localPort;
  }
  get transportProtocol(): string {
    return this.info.transportProtocol;
  }
  setTransportProtocol(name: string): void {
    this.info.transportProtocol = name;
  }
  setServerName(name: string): void {
    this.info.requestedServerName = name;
  }
  setApplicationProtocols(names: readonly string[]): void {
    this.info.applicationProtocols = names;
  }
  setTlsFingerprints(ja3: string, ja4: string): void {
    this.info.ja3 = ja3;
    this.info.ja4 = ja4;
  }
  setAddresses(remoteIp: string, remotePort: number, localIp: string, localPort: number): void {
    const { info } = this;
    info.setRemoteAddress(remoteIp, remotePort);
    if (info.localIp !== localIp || info.localPort !== localPort) info.restoreLocalAddress(localIp, localPort);
  }
  restoreLocalAddress(ip: string, port: number): void {
    this.info.restoreLocalAddress(ip, port);
  }
  originalDestination(): { readonly ip: string; readonly port: number } | undefined {
    return this.#owner.originalDestination(this.socket, this.info);
  }
  consume(bytes: number): void {
    this.#bytes = this.#bytes.subarray(bytes);
    this.#store = undefined;
  }
  setProxyProtocolTlvs(tlvs: readonly ProxyProtocolTlv[]): void {
    this.info.proxyProtocolTlvs = tlvs;
  }
  setDynamicMetadata(namespace: string, key: string, value: unknown): void {
    this.info.setDynamicMetadata(namespace, key, value);
  }
  setFilterState(key: string, value: unknown): void {
    this.info.setFilterState(key, value);
  }
  setTransportFailureReason(reason: string): void {
    this.info.transportFailureReason = reason;
  }

  // ---- the run ----------------------------------------------------------------------------------------------------

  #run(): void {
    const { filters, dispatcher, filtersTimeoutMs } = this.#owner;
    try {
      while (this.#index < filters.length) {
        const verdict = this.#ask(filters[this.#index]!);
        if (verdict === 'close') {
          this.#end('filter');
          return;
        }
        if (verdict === 'wait') {
          this.#listen();
          if (this.#timer === undefined && filtersTimeoutMs > 0) {
            this.#timer = new Timer(this);
            dispatcher.arm(this.#timer, filtersTimeoutMs);
          }
          return;
        }
        this.#destroyFilter();
        this.#index++;
      }
    } catch (error) {
      this.#owner.onFilterFailed(error);
      this.#end('filter');
      return;
    }
    this.#done();
  }

  /** The verdict of the filter whose turn it is, by all bytes that there are. */
  #ask(compiled: CompiledListenerFilter): ListenerVerdict {
    if (this.#filter === undefined) {
      if (compiled.isDisabled?.(this.info) === true) return 'continue';
      this.#filter = compiled.create(this);
      const verdict = this.#filter.onAccept();
      if (verdict !== 'wait') return verdict;
    }
    return this.#bytes.length === 0 ? 'wait' : (this.#filter.onData?.(this.#bytes) ?? 'continue');
  }

  #read(chunk: Buffer): void {
    this.#append(chunk);
    const { dispatcher } = this.#owner;
    dispatcher.begin();
    try {
      this.#run();
    } finally {
      dispatcher.end();
    }
    if (!this.#ended && this.#bytes.length >= MOST_BYTES) this.socket.pause();
  }

  #append(chunk: Buffer): void {
    const held = this.#bytes;
    if (held.length === 0) {
      this.#bytes = chunk;
      return;
    }
    const length = held.length + chunk.length;
    let store = this.#store;
    if (store === undefined || store.length < length) {
      store = Buffer.allocUnsafe(2 * length);
      held.copy(store);
      this.#store = store;
    }
    chunk.copy(store, held.length);
    this.#bytes = store.subarray(0, length);
  }

  /** The peer has closed, or reset, before the filters were done. */
  #gone(): void {
    const { dispatcher } = this.#owner;
    dispatcher.begin();
    try {
      this.#end('remote');
    } finally {
      dispatcher.end();
    }
  }

  #done(): void {
    if (this.#ended) return;
    this.#stop();
    const { socket } = this;
    if (this.#bytes.length > 0) socket.unshift(this.#bytes);
    this.#bytes = NOTHING;
    this.#store = undefined;
    this.#owner.onFiltersDone(this);
  }

  #end(why: PendingEnd): void {
    if (this.#ended) return;
    this.destroy();
    this.#owner.onFiltersEnded(this, why);
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    const { socket } = this;
    socket.on('data', this.#onData);
    socket.on('end', this.#onClose);
    socket.on('close', this.#onClose);
    if (socket.isPaused()) socket.resume();
  }

  #stop(): void {
    this.#ended = true;
    if (this.#timer !== undefined) this.#owner.dispatcher.disarm(this.#timer);
    this.#destroyFilter();
    if (!this.#listening) return;
    const { socket } = this;
    // Paused before the listener goes: a flowing socket without one loses what comes.
    socket.pause();
    socket.off('data', this.#onData);
    socket.off('end', this.#onClose);
    socket.off('close', this.#onClose);
  }

  #destroyFilter(): void {
    const filter = this.#filter;
    this.#filter = undefined;
    filter?.onDestroy?.();
  }
}
