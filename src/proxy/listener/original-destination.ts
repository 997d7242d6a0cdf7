import type { Socket } from 'node:net';
import type { DownstreamConnectionInfo } from '../connection/connection-info.ts';
import { decodeSocketAddress } from '../../lib/posix/socket-address.ts';
import { SO_ORIGINAL_DST, SOL_IP, SOL_IPV6, type SocketCalls } from '../../lib/posix/socket-calls.ts';

const FIRST = 3;
/** Descriptors looked at before it is given up; a process that may have more of them has them in vain. */
const MOST = 1 << 20;
/** So many that are no sockets in a row are taken for the end: of what is near, and of all. */
const NEAR_GAP = 32;
const GAP = 1024;
const SIZE_V4 = 16;
const SIZE_V6 = 28;

/**
 * Finds where a redirected connection was going (SO_ORIGINAL_DST of netfilter). Node tells nobody a socket's descriptor,
 * so the kernel is asked which one has this peer. It gives out the lowest that is free: the search begins where the
 * last one ended, and goes through those that were given back first.
 */
export class OriginalDestinations {
  readonly #calls: SocketCalls;
  /** Of connections that have closed since: likely to be used again. */
  readonly #free: number[] = [];
  #next = FIRST;

  constructor(calls: SocketCalls) {
    this.#calls = calls;
  }

  /** Undefined: the connection was not redirected. */
  find(socket: Socket, info: DownstreamConnectionInfo): { readonly ip: string; readonly port: number } | undefined {
    const fd = this.#descriptorOf(info);
    if (fd === -1) return undefined;
    this.#next = fd + 1;
    socket.once('close', () => this.#free.push(fd));
    const isV6 = info.directRemoteIp.includes(':');
    const value = this.#calls.getOption(fd, isV6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, isV6 ? SIZE_V6 : SIZE_V4);
    const original = value === undefined ? undefined : decodeSocketAddress(value);
    // Without a redirection it is where it came to.
    return original?.ip === info.directLocalIp && original.port === info.directLocalPort ? undefined : original;
  }

  #descriptorOf(info: DownstreamConnectionInfo): number {
    while (this.#free.length > 0) {
      const fd = this.#free.pop()!;
      if (this.#isOf(fd, info) === 'yes') return fd;
    }
    const found = this.#search(this.#next, NEAR_GAP, info);
    return found === -1 ? this.#search(FIRST, GAP, info) : found;
  }

  #search(from: number, gap: number, info: DownstreamConnectionInfo): number {
    for (let fd = from, missed = 0; fd < MOST && missed < gap; fd++) {
      const answer = this.#isOf(fd, info);
      if (answer === 'yes') return fd;
      missed = answer === 'no' ? 0 : missed + 1;
    }
    return -1;
  }

  #isOf(fd: number, info: DownstreamConnectionInfo): 'yes' | 'no' | 'none' {
    const peer = this.#calls.peerName(fd);
    if (peer === undefined) return 'none';
    if (peer.readUInt16BE(2) !== info.directRemotePort) return 'no';
    if (decodeSocketAddress(peer)?.ip !== info.directRemoteIp) return 'no';
    // One peer may have several connections to this process from one port, to different ports.
    return this.#calls.ownName(fd)?.readUInt16BE(2) === info.directLocalPort ? 'yes' : 'no';
  }
}
