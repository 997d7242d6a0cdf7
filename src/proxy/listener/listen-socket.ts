import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { AddressModel } from '../../config/common-model.ts';
import type { KeepAliveModel } from '../../config/listener-model.ts';
import { errorText } from '../../lib/posix/error-text.ts';
import { encodeSocketAddress } from '../../lib/posix/socket-address.ts';
import {
  IP_TRANSPARENT,
  IPV6_TRANSPARENT,
  IPV6_V6ONLY,
  optionValue,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  type SocketCalls,
} from '../../lib/posix/socket-calls.ts';

export interface ListenSocketOptions {
  readonly address: AddressModel;
  readonly reusePort: boolean;
  readonly backlog: number;
  /** Of each accepted connection's buffers, in bytes; 0 = none. */
  readonly bufferLimit: number;
  readonly keepAlive: KeepAliveModel | undefined;
  /** Bound with IP_TRANSPARENT (TPROXY), which takes calls that Node doesn't have; undefined: not transparent. */
  readonly transparentBy?: SocketCalls | 'nobody' | undefined;
  readonly onConnection: (socket: Socket) => void;
}

/** A listening socket. Node owns the accepting; a connection comes with its first bytes still unread. */
export class ListenSocket {
  /** As bound: with the port that the system chose, if it had to. */
  readonly address: AddressModel;
  readonly #server: Server;

  private constructor(server: Server, address: AddressModel) {
    this.#server = server;
    this.address = address;
  }

  /** Binds and listens. Rejects with an error whose message says what could not be bound. */
  static open(options: ListenSocketOptions): Promise<ListenSocket> {
    const { address, bufferLimit, keepAlive } = options;
    const server = createServer({
      // Whether half a connection is a whole one is the codec's business.
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: bufferLimit > 0 ? bufferLimit : Number.MAX_SAFE_INTEGER,
      keepAlive: keepAlive !== undefined,
      keepAliveInitialDelay: keepAlive?.idleMs ?? 0,
    });
    server.on('connection', options.onConnection);
    // Errors of accept(2), such as too many open files, pass.
    server.on('error', () => {});
    if (address.kind === 'pipe') removeStaleSocket(address.path);
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void =>
        reject(new Error(`cannot bind '${describe(address)}': ${errorText(error)}`, { cause: error }));
      server.once('error', failed);
      let listened: ListenOptions;
      try {
        listened = listenOptions(options);
      } catch (error) {
        failed(error as Error);
        return;
      }
      server.listen(listened, () => {
        server.off('error', failed);
        const bound = server.address();
        if (address.kind === 'socket' && bound !== null && typeof bound === 'object')
          resolve(new ListenSocket(server, { ...address, port: bound.port }));
        else resolve(new ListenSocket(server, setMode(address)));
      });
    });
  }

  /** Stops listening; connections that were accepted stay. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // The callback comes only when the last connection has gone, so it isn't waited for.
      this.#server.close();
      resolve();
    });
  }
}

function listenOptions(options: ListenSocketOptions): ListenOptions & { reusePort?: boolean; fd?: number } {
  const { address, reusePort, backlog, transparentBy } = options;
  if (address.kind === 'pipe') return { path: abstractPath(address.path), backlog, exclusive: true };
  if (transparentBy !== undefined) return { fd: openTransparent(address, reusePort, backlog, transparentBy), backlog };
  const { host, port, ipv4Compat } = address;
  return { host, port, backlog, exclusive: true, reusePort, ipv6Only: host.includes(':') && !ipv4Compat };
}

/** A listening socket with IP_TRANSPARENT, which has to be set before it is bound. Throws. */
function openTransparent(
  { host, port, ipv4Compat }: AddressModel & { readonly kind: 'socket' },
  reusePort: boolean,
  backlog: number,
  calls: SocketCalls | 'nobody',
): number {
  if (calls === 'nobody') throw new Error('a transparent listener needs the optional dependency koffi');
  const isV6 = host.includes(':');
  const address = encodeSocketAddress(host, port)!;
  const fd = calls.socket(isV6);
  if (fd === -1) throw new Error('no socket');
  const on = optionValue(1);
  const done =
    calls.setOption(fd, SOL_SOCKET, SO_REUSEADDR, on) &&
    (!reusePort || calls.setOption(fd, SOL_SOCKET, SO_REUSEPORT, on)) &&
    (!isV6 || calls.setOption(fd, SOL_IPV6, IPV6_V6ONLY, optionValue(ipv4Compat ? 0 : 1))) &&
    calls.setOption(fd, isV6 ? SOL_IPV6 : SOL_IP, isV6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, on);
  if (done && calls.bind(fd, address) && calls.listen(fd, backlog)) return fd;
  calls.close(fd);
  throw new Error(done ? 'Address already in use' : 'IP_TRANSPARENT was refused: CAP_NET_ADMIN is necessary');
}

/** `@name` is a name in Linux's abstract namespace. */
function abstractPath(path: string): string {
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}

/** A socket that a former process left behind would keep us from binding. Anything else at its place stays. */
function removeStaleSocket(path: string): void {
  if (path.startsWith('@')) return;
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Nothing there, or nothing that we may remove: binding will tell.
  }
}

function setMode(address: AddressModel): AddressModel {
  if (address.kind === 'pipe' && address.mode !== 0 && !address.path.startsWith('@'))
    chmodSync(address.path, address.mode);
  return address;
}

function describe(address: AddressModel): string {
  if (address.kind === 'pipe') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
