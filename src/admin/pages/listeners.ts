import { jsonResponse, textResponse, type AdminPage } from '../page.ts';
import { addressJson, addressText } from './addresses.ts';

export const listenersPage: AdminPage = {
  path: '/listeners',
  help: 'print listener info',
  mutates: false,
  params: [{ name: 'format', help: 'File format to use', kind: ['text', 'json'] }],
  handle({ query }, { listeners }) {
    if (query.get('format') === 'json') {
      const statuses = Array.from(listeners.listeners(), ({ name, addresses: [first, ...more] }) => ({
        name,
        ...(first === undefined ? {} : { local_address: addressJson(first) }),
        ...(more.length === 0 ? {} : { additional_local_addresses: more.map(addressJson) }),
      }));
      return jsonResponse(statuses.length === 0 ? {} : { listener_statuses: statuses });
    }
    let text = '';
    for (const { name, addresses } of listeners.listeners())
      for (const address of addresses) text += `${name}::${addressText(address)}\n`;
    return textResponse(text);
  },
};
