// Hides card numbers in JSON responses. Shows a body that is collected, changed, and passed on with its new length.
import { CollectBody, Continue, defineHttpFilter, Detach, jsonConfig, type Headers } from 'outrigger';

export const filter = defineHttpFilter({
  name: 'redact',
  config: jsonConfig<{ readonly replacement: string }>({
    type: 'object',
    properties: { replacement: { type: 'string', default: '****' } },
  }),
  create({ replacement }) {
    return () => {
      let head: Headers | undefined;
      return {
        onResponseHeaders(headers, endStream) {
          if (endStream) return Continue;
          if (!headers.get('content-type')?.startsWith('application/json')) return Detach;
          head = headers;
          return CollectBody;
        },
        onResponseData(body) {
          const redacted = Buffer.from(body.toString('utf8').replace(/\b\d{16}\b/g, replacement));
          head?.set('content-length', String(redacted.length));
          return redacted;
        },
      };
    };
  },
});
