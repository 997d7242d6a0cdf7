import type { Socket } from 'node:net';

/** What a cluster's transport socket does to the connections of the control plane. */
export interface ControlPlaneTransport {
  /**
   * Puts the transport on a connected socket; resolves to where plain bytes are read and written, when the peer has been
   * verified. Rejects with Envoy's words for why not; the socket is the caller's to destroy.
   */
  secure(socket: Socket): Promise<Socket>;
}
