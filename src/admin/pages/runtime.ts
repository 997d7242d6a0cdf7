import { jsonResponse, textResponse, type AdminPage } from '../page.ts';

export const runtimePage: AdminPage = {
  path: '/runtime',
  help: 'print runtime values',
  mutates: false,
  params: [],
  handle(_, { runtime }) {
    const entries: Record<string, { final_value: string; layer_values: readonly string[] }> = {};
    for (const [key, { layers, final }] of runtime.entries())
      entries[key] = { final_value: final, layer_values: layers };
    return jsonResponse({ layers: runtime.layers(), entries });
  },
};

export const runtimeModifyPage: AdminPage = {
  path: '/runtime_modify',
  help: 'Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...',
  mutates: true,
  params: [],
  handle({ query, form }, { runtime }) {
    const overrides = query.size > 0 ? query : form;
    if (overrides.size === 0)
      return textResponse(
        'usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n' +
          '       or send the parameters as form values\n' +
          'use an empty value to remove a previously added override',
        400,
      );
    if (!runtime.modify(overrides)) return textResponse('No admin layer specified', 503);
    return textResponse('OK\n');
  },
};
