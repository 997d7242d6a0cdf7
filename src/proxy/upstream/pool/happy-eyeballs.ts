import type { AddressModel } from '../../../config/common-model.ts';
import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import type { ConnectionInput } from '../../codec/connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { ConnectFailure } from './connect-failure.ts';
import type { ConnectOptions, Connector, UpstreamSocket, UpstreamSocketOwner } from './connector.ts';

/** The next address is tried when one has not connected for so long, as in Envoy. */
const NEXT_ADDRESS_MS = 300;

/**
 * One connection to a host with several addresses (RFC 8305): they are tried in turn, families alternating, the next
 * one after 300 ms or a failure, and the first that connects stays.
 */
export class HappyEyeballs implements UpstreamSocket, TimerTask {
  readonly #dispatcher: Dispatcher;
  readonly #options: ConnectOptions;
  readonly #owner: UpstreamSocketOwner;
  readonly #connect: Connector;
  readonly #waiting: AddressModel[];
  readonly #timer = new Timer(this);
  /** Those on their way. */
  #tries: Try[] = [];
  #chosen: UpstreamSocket | undefined = undefined;
  #tried = 0;
  #closing = false;
  #input: ConnectionInput | undefined = undefined;

  constructor(dispatcher: Dispatcher, options: ConnectOptions, owner: UpstreamSocketOwner, connect: Connector) {
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#owner = owner;
    this.#connect = connect;
    this.#waiting = interleaveFamilies([options.address, ...options.additionalAddresses]);
    this.#tryNext();
  }

  get input(): ConnectionInput | undefined {
    return this.#input;
  }

  set input(input: ConnectionInput | undefined) {
    this.#input = input;
    if (this.#chosen !== undefined) this.#chosen.input = input;
  }

  write(data: string | Uint8Array): boolean {
    return this.#chosen?.write(data) ?? true;
  }

  endWrite(): void {
    this.#chosen?.endWrite();
  }

  pauseRead(): void {
    this.#chosen?.pauseRead();
  }

  resumeRead(): void {
    this.#chosen?.resumeRead();
  }

  get bufferedBytes(): number {
    return this.#chosen?.bufferedBytes ?? 0;
  }

  get wasReset(): boolean {
    return this.#chosen?.wasReset ?? false;
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void {
    if (this.#chosen !== undefined) return this.#chosen.close(how);
    if (this.#closing) return;
    this.#closing = true;
    this.#dispatcher.disarm(this.#timer);
    for (const one of this.#tries) one.socket!.close('abort');
  }

  onTimer(): void {
    if (this.#chosen === undefined && !this.#closing) this.#tryNext();
  }

  #tryNext(): void {
    const address = this.#waiting.shift();
    if (address === undefined) return;
    const one = new Try(
      (winner, info) => this.#choose(winner, info),
      (loser, local, failure) => this.#onClosed(loser, local, failure),
    );
    // Each one after the first, which the pool has counted, counts as in Envoy.
    if (this.#tried++ > 0) this.#options.stats.inc(CLUSTER_STATS.at.upstream_cx_total);
    this.#tries.push(one);
    one.socket = this.#connect(this.#dispatcher, { ...this.#options, address, additionalAddresses: [] }, one);
    if (this.#waiting.length > 0) this.#dispatcher.arm(this.#timer, NEXT_ADDRESS_MS);
  }

  #choose(winner: Try, info: ConnectionInfo): void {
    if (this.#chosen !== undefined || this.#closing) return;
    this.#chosen = winner.socket;
    this.#dispatcher.disarm(this.#timer);
    for (const one of this.#tries) if (one !== winner) one.socket!.close('abort');
    this.#owner.onConnected(info);
  }

  #onClosed(one: Try, local: boolean, failure: ConnectFailure | undefined): void {
    this.#tries = this.#tries.filter((other) => other !== one);
    if (this.#chosen !== undefined) {
      if (one.socket === this.#chosen) this.#owner.onSocketClosed(local, failure);
      return;
    }
    if (!this.#closing && this.#waiting.length > 0) return this.#tryNext();
    // The last one tells why.
    if (this.#tries.length === 0) {
      this.#dispatcher.disarm(this.#timer);
      this.#owner.onSocketClosed(local, this.#closing ? undefined : failure);
    }
  }
}

/** One address that is being tried. */
class Try implements UpstreamSocketOwner {
  socket: UpstreamSocket | undefined = undefined;
  readonly #onConnected: (one: Try, info: ConnectionInfo) => void;
  readonly #onClosed: (one: Try, local: boolean, failure: ConnectFailure | undefined) => void;

  constructor(
    onConnected: (one: Try, info: ConnectionInfo) => void,
    onClosed: (one: Try, local: boolean, failure: ConnectFailure | undefined) => void,
  ) {
    this.#onConnected = onConnected;
    this.#onClosed = onClosed;
  }

  onConnected(info: ConnectionInfo): void {
    this.#onConnected(this, info);
  }

  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void {
    this.#onClosed(this, local, failure);
  }
}

/** The family of the first address first, then in turn; each family in its own order. */
export function interleaveFamilies(addresses: readonly AddressModel[]): AddressModel[] {
  const isV6 = (address: AddressModel): boolean => address.kind === 'socket' && address.host.includes(':');
  const first = addresses.length > 0 && isV6(addresses[0]!);
  const same = addresses.filter((address) => isV6(address) === first);
  const other = addresses.filter((address) => isV6(address) !== first);
  const result: AddressModel[] = [];
  for (let i = 0; i < Math.max(same.length, other.length); i++) {
    if (i < same.length) result.push(same[i]!);
    if (i < other.length) result.push(other[i]!);
  }
  return result;
}
