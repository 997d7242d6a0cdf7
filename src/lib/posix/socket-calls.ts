/** The result of a call of the system: what it returned, or the number of its error. */
export interface SocketCalls {
  /** A non-blocking stream socket, closed on exec. -1: refused. */
  socket(isV6: boolean): number;
  setOption(fd: number, level: number, name: number, value: Buffer): boolean;
  /** Undefined: refused. */
  getOption(fd: number, level: number, name: number, size: number): Buffer | undefined;
  bind(fd: number, address: Buffer): boolean;
  listen(fd: number, backlog: number): boolean;
  /** The sockaddr of the other end; undefined: `fd` is no connected socket. Valid until the next call. */
  peerName(fd: number): Buffer | undefined;
  /** The same of our end. */
  ownName(fd: number): Buffer | undefined;
  close(fd: number): void;
}

export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SO_REUSEADDR = 2;
export const SO_REUSEPORT = 15;
export const IPV6_V6ONLY = 26;
export const IP_TRANSPARENT = 19;
export const IPV6_TRANSPARENT = 75;
export const SO_ORIGINAL_DST = 80;

const AF_INET = 2;
const AF_INET6 = 10;
const STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOCKADDR_MOST = 28;

type Native = (...args: unknown[]) => number;
interface Koffi {
  load(path: string | null): { func(declaration: string): Native };
}

/**
 * What Node has no public API for: options of sockets, by calls into the C library through the optional dependency
 * `koffi`. Linux only. Undefined where it isn't installed, or has no build for this machine.
 */
export async function loadSocketCalls(): Promise<SocketCalls | undefined> {
  if (process.platform !== 'linux') return undefined;
  let koffi: Koffi;
  try {
    // Named by a variable, since the types of an optional dependency may not be there.
    const name = 'koffi';
    const module = (await import(name)) as { default: Koffi };
    koffi = module.default;
  } catch {
    return undefined;
  }
  const library = koffi.load(null);
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const setsockopt = library.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
  const getsockopt = library.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const bind = library.func('int bind(int fd, void *address, uint32_t length)');
  const listen = library.func('int listen(int fd, int backlog)');
  const getpeername = library.func('int getpeername(int fd, void *address, void *length)');
  const getsockname = library.func('int getsockname(int fd, void *address, void *length)');
  const close = library.func('int close(int fd)');
  const peer = Buffer.alloc(SOCKADDR_MOST);
  const own = Buffer.alloc(SOCKADDR_MOST);
  const length = Buffer.alloc(4);
  return {
    socket: (isV6) => socket(isV6 ? AF_INET6 : AF_INET, STREAM_NONBLOCK_CLOEXEC, 0),
    setOption: (fd, level, name, value) => setsockopt(fd, level, name, value, value.length) === 0,
    getOption(fd, level, name, size) {
      const value = Buffer.alloc(size);
      length.writeUInt32LE(size);
      return getsockopt(fd, level, name, value, length) === 0 ? value : undefined;
    },
    bind: (fd, address) => bind(fd, address, address.length) === 0,
    listen: (fd, backlog) => listen(fd, backlog) === 0,
    peerName(fd) {
      length.writeUInt32LE(SOCKADDR_MOST);
      return getpeername(fd, peer, length) === 0 ? peer : undefined;
    },
    ownName(fd) {
      length.writeUInt32LE(SOCKADDR_MOST);
      return getsockname(fd, own, length) === 0 ? own : undefined;
    },
    close: (fd) => void close(fd),
  };
}

/** An int as the system stores it. */
export function optionValue(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  if (process.arch === 's390x') buffer.writeInt32BE(value);
  else buffer.writeInt32LE(value);
  return buffer;
}
