import {
  OriginalDstSchema,
  type OriginalDst,
} from '../../api/generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { protobufConfig } from '../config-type.ts';
import type { ListenerFilterType } from './filter.ts';

/**
 * envoy.filters.listener.original_dst: restores the destination of a connection that was redirected to us, so that
 * `use_original_dst`, filter chains and ORIGINAL_DST clusters go by it.
 */
export const originalDst: ListenerFilterType<OriginalDst> = {
  name: 'envoy.filters.listener.original_dst',
  config: protobufConfig(OriginalDstSchema),
  create: () => (connection) => ({
    onAccept() {
      const original = connection.localIp === '' ? undefined : connection.originalDestination();
      if (original !== undefined) connection.restoreLocalAddress(original.ip, original.port);
      return 'continue';
    },
  }),
};
