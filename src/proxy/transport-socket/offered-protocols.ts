import type { Socket } from 'node:net';
import { ClientHelloReader } from '../../filters/listener/client-hello.ts';

/** A ClientHello doesn't get longer: the library refuses it then. */
const MAX_BYTES = 32 * 1024;
/** Bounds the wait where nothing else does, as the library's timeout does for what follows. */
const TIMEOUT_MS = 120_000;

/**
 * Looks at the ClientHello of an accepted socket and puts it back; then `done` is called, once, with the protocols that
 * it offers (empty: none, or it is no ClientHello). Never called for a socket that closes before.
 */
export function readOfferedProtocols(socket: Socket, done: (protocols: readonly string[]) => void): void {
  const reader = new ClientHelloReader();
  let bytes: Buffer | undefined;
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
    if (reader.read(bytes) === 'more' && bytes.length < MAX_BYTES) return;
    socket.off('readable', onReadable);
    socket.setTimeout(0, onTimeout);
    socket.unshift(bytes);
    done(reader.hello?.applicationProtocols ?? []);
  };
  const onTimeout = (): void => void socket.destroy();
  socket.setTimeout(TIMEOUT_MS, onTimeout);
  socket.on('readable', onReadable);
  if (socket.readableLength > 0) onReadable();
}
