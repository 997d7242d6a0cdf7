import {
  BufferPerRouteSchema,
  BufferSchema,
  type BufferPerRoute,
} from '../../api/generated/envoy/extensions/filters/http/buffer/v3/buffer_pb.js';
import { protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import {
  CollectBody,
  Continue,
  defineHttpFilter,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
} from './filter.ts';

/** envoy.filters.http.buffer: gathers the whole request before it goes on; one that is too large gets 413. */
export const buffer = defineHttpFilter({
  name: 'envoy.filters.http.buffer',
  config: protobufConfig(BufferSchema),
  routeConfig: protobufConfig(BufferPerRouteSchema),
  create(config) {
    return (stream: StreamContext<BufferPerRoute>) => {
      let { maxRequestBytes } = config;
      const override = stream.routeConfig?.override;
      if (override?.case === 'disabled') return undefined;
      if (override?.case === 'buffer') maxRequestBytes = override.value.maxRequestBytes;
      stream.setBufferLimit(maxRequestBytes ?? 0);
      return new BufferFilter();
    };
  },
});

class BufferFilter implements HttpFilter {
  #headers: Headers | undefined = undefined;

  onRequestHeaders(headers: Headers, endStream: boolean): HeadersVerdict {
    if (endStream) return Continue;
    this.#headers = headers;
    return CollectBody;
  }

  /** The length is known now: a chunked request goes on with a content-length. */
  onRequestData(body: Buffer): DataVerdict {
    const headers = this.#headers;
    if (headers !== undefined && !headers.has('content-length')) {
      headers.set('content-length', String(body.length));
      headers.delete('transfer-encoding');
    }
    return Continue;
  }
}
