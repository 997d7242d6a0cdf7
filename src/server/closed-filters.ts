import { create, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { AnySchema, type Any } from '@bufbuild/protobuf/wkt';
import { RBAC_Action } from '../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import { FaultAbortSchema, HTTPFaultSchema } from '../api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RBACSchema as NetworkRbacSchema } from '../api/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import type { ExtensionReference } from '../config/listener-extensions.ts';

/**
 * In place of filters without a config, which could let through what they should not: every request is answered by 500,
 * every connection is closed.
 */
export const CLOSED_FILTERS: Readonly<Record<Exclude<ExtensionReference['kind'], 'tcp_listener_filter'>, Any>> = {
  http_filter: pack(
    HTTPFaultSchema,
    create(HTTPFaultSchema, {
      abort: create(FaultAbortSchema, {
        errorType: { case: 'httpStatus', value: 500 },
        percentage: { numerator: 100 },
      }),
    }),
  ),
  // Allows what one of no policies allows.
  network_filter: pack(
    NetworkRbacSchema,
    create(NetworkRbacSchema, { statPrefix: 'missing_config', rules: { action: RBAC_Action.ALLOW } }),
  ),
};

function pack<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Any {
  return create(AnySchema, { typeUrl: `type.googleapis.com/${desc.typeName}`, value: toBinary(desc, message) });
}
