import type { AddressModel } from '../../config/common-model.ts';
import type { ListenerModel } from '../../config/listener-model.ts';
import { ListenSocket } from './listen-socket.ts';

/**
 * '' or why a listener's addresses can't be bound, found by trying, since its sockets are opened only once it has
 * warmed. `held`: addresses that are its predecessor's. What would take calls that Node doesn't have is not tried.
 */
export async function checkBind(model: ListenerModel, held: readonly AddressModel[]): Promise<string> {
  const { address, additionalAddresses, bindToPort, reusePort, backlog, transparent, keepAlive } = model;
  if (!bindToPort || transparent) return '';
  const taken = new Set(held.map((each) => JSON.stringify(each)));
  for (const each of [address, ...additionalAddresses]) {
    // A pipe replaces what is there.
    if (each.kind === 'pipe' || each.port === 0 || taken.has(JSON.stringify(each))) continue;
    try {
      const socket = await ListenSocket.open({
        address: each,
        reusePort,
        backlog,
        bufferLimit: 0,
        keepAlive,
        onConnection: (connection) => connection.destroy(),
      });
      await socket.close();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  return '';
}
