import { Continue, defineHttpFilter, jsonConfig, type Continue as Verdict } from 'outrigger';

const later = (ms: number): Promise<typeof Verdict> =>
  new Promise((resolve) => setTimeout(() => resolve(Continue), ms));

/** Waits at the stages that the request's `x-wait` names: `stage:MS`, joined by `;`. */
export const wait = defineHttpFilter({
  name: 'wait',
  config: jsonConfig<object>({ type: 'object' }),
  create: () => () => {
    let stages = new Map<string, number>();
    const at = (stage: string): typeof Continue | Promise<typeof Continue> => {
      const ms = stages.get(stage);
      return ms === undefined ? Continue : later(ms);
    };
    return {
      onRequestHeaders(headers) {
        const words = (headers.get('x-wait') ?? '').split(';').map((word) => word.split(':'));
        stages = new Map(words.map(([name = '', ms]) => [name, Number(ms)]));
        return at('request');
      },
      onRequestData: () => at('request-data'),
      onResponseHeaders: () => at('response'),
      onResponseData: () => at('response-data'),
    };
  },
});

/** Throws where the request's `x-throw` says: in a hook, or when the filter is made for the stream. */
export const faulty = defineHttpFilter({
  name: 'faulty',
  config: jsonConfig<{ create?: boolean }>({ type: 'object' }),
  create:
    ({ create = false }) =>
    () => {
      if (create) throw new Error('no filter today');
      let where = '';
      const at = (hook: string): typeof Continue => {
        if (where === hook) throw new Error(`failed in ${hook}`);
        return Continue;
      };
      return {
        onRequestHeaders(headers) {
          where = headers.get('x-throw') ?? '';
          if (where === 'async') return Promise.reject(new Error('failed later'));
          return at('request');
        },
        onRequestData: () => at('request-data'),
        onResponseHeaders: () => at('response'),
        onResponseData: () => at('response-data'),
        onDestroy: () => void at('destroy'),
      };
    },
});

/** Answers 403, after a moment. */
export const refuse = defineHttpFilter({
  name: 'refuse',
  config: jsonConfig<object>({ type: 'object' }),
  create: () => () => ({
    onRequestHeaders: () => later(2).then(() => ({ status: 403, details: 'refused' })),
  }),
});

/** Ends its worker thread when a request has `x-crash`: `throw` in a timer, or `exit`; or hangs it: `spin`. */
export const crash = defineHttpFilter({
  name: 'crash',
  config: jsonConfig<object>({ type: 'object' }),
  create: () => () => ({
    onRequestHeaders(headers) {
      const how = headers.get('x-crash');
      if (how === 'exit') process.exit(1);
      if (how === 'spin') for (;;);
      if (how === 'throw')
        setTimeout(() => {
          throw new Error('crashed on purpose');
        }, 0);
      return Continue;
    },
  }),
});
