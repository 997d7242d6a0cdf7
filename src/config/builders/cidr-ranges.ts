import type { CidrRange } from '../../api/generated/envoy/config/core/v3/address_pb.js';
import { parseCidr } from '../../lib/cidr.ts';
import type { Problems } from '../problem.ts';

/** core.v3.CidrRange as `address/length`; an absent length is 0, as in Envoy. `problems` stands at the list. */
export function buildCidrRanges(messages: readonly CidrRange[], problems: Problems): string[] {
  return messages.map((message, index) => {
    const text = `${message.addressPrefix}/${message.prefixLen ?? 0}`;
    if (parseCidr(text) === undefined)
      problems.at(index).at('address_prefix').error(`malformed IP address: ${message.addressPrefix}`);
    return text;
  });
}
