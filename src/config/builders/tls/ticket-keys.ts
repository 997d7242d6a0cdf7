import type { TlsSessionTicketKeys } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { Problems } from '../../problem.ts';
import type { TicketKeysModel } from '../../secret-model.ts';
import { readSecretData } from './data-source.ts';

const KEY_LENGTH = 80;

/** transport_sockets.tls.v3.TlsSessionTicketKeys; `problems` stands at it. */
export function buildTicketKeys(message: TlsSessionTicketKeys, problems: Problems): TicketKeysModel {
  const at = problems.at('keys');
  const keys = message.keys.map((source, index) => {
    const here = at.at(index);
    const before = here.list.length;
    const { bytes } = readSecretData(source, false, here);
    if (bytes.length !== KEY_LENGTH && here.list.length === before)
      here.error(`Incorrect TLS session ticket key length. Length ${bytes.length}, expected length ${KEY_LENGTH}.`);
    return bytes;
  });
  return { keys };
}
