import type { AddressModel } from './common-model.ts';

/** What a builder makes of envoy.config.listener.v3.Listener. Filled in by builders/listener.ts. */
export interface ListenerModel {
  readonly name: string;
  readonly address: AddressModel;
}
