import type { AddressModel } from '../../config/common-model.ts';

/** `1.2.3.4:80`, `[::1]:80`, or a path. */
export function addressText(address: AddressModel): string {
  if (address.kind === 'pipe') return address.path;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** envoy.config.core.v3.Address as proto JSON. */
export function addressJson(address: AddressModel): object {
  return address.kind === 'pipe'
    ? { pipe: { path: address.path } }
    : { socket_address: { address: address.host, port_value: address.port } };
}
