import { Continue, defineHttpFilter, jsonConfig } from 'outrigger';

export const filter = defineHttpFilter({
  name: 'hello',
  config: jsonConfig<{ greeting?: string }>({ type: 'object' }),
  create:
    ({ greeting = 'hello' }) =>
    () => ({ onResponseHeaders: (headers) => (headers.set('x-hello', greeting), Continue) }),
});
