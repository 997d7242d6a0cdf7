import { connect, type Socket } from 'node:net';
import type { ControlPlaneTransport } from './control-plane-transport.ts';
import type { DialAddress, EndpointRotation } from './endpoint-rotation.ts';

/** Connects to the next endpoint of a cluster, transport socket and all. Rejects with the reason. */
export async function dial(
  rotation: EndpointRotation,
  transport: ControlPlaneTransport | undefined,
  timeoutMs: number,
): Promise<Socket> {
  const address = await rotation.next();
  if (address === undefined) throw new Error('no healthy upstream');
  const socket = await connected(address, timeoutMs);
  if (transport === undefined) return socket;
  try {
    return await transport.secure(socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function connected(address: DialAddress, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      address.kind === 'pipe' ? { path: address.path } : { host: address.host, port: address.port },
    );
    const timer = setTimeout(() => socket.destroy(new Error('connection timeout')), timeoutMs);
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
