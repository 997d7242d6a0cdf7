// Lets only requests with a known x-api-key through. Shows a config with a schema, local replies, stats, an override
// on routes, and work that is done once a config.
import { Continue, defineHttpFilter, jsonConfig, type StreamContext } from 'outrigger';

interface Config {
  /** Key -> the name of its owner. */
  readonly keys: Readonly<Record<string, string>>;
}

const config = jsonConfig<Config>({
  type: 'object',
  properties: { keys: { type: 'object', additionalProperties: { type: 'string' } } },
  required: ['keys'],
  additionalProperties: false,
});

export const filter = defineHttpFilter({
  name: 'require-key',
  config,
  routeConfig: config,
  create({ keys }, { stats }) {
    const denied = stats.counter('require_key.denied');
    return (stream: StreamContext<Config>) => ({
      onRequestHeaders(headers) {
        const key = headers.get('x-api-key') ?? '';
        const owner = (stream.routeConfig?.keys ?? keys)[key];
        if (owner === undefined) {
          denied.inc();
          return { status: 401, body: 'who are you?\n', details: 'require_key_denied' };
        }
        headers.delete('x-api-key');
        headers.set('x-key-owner', owner);
        stream.info.dynamicMetadata.set('require-key', { owner });
        return Continue;
      },
    });
  },
});
