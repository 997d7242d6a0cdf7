import { expect, test } from 'vitest';
import type { SecretModel } from '../../../src/config/secret-model.ts';
import { SecretSet } from '../../../src/proxy/transport-socket/secret-set.ts';

const secret = (name: string, text = 'x'): SecretModel => ({
  kind: 'generic',
  name,
  value: { secret: Buffer.from(text), secrets: {} },
});

const listener = () => {
  const heard: string[] = [];
  return { heard, onSecretsChanged: (names: readonly string[]) => void heard.push(names.join()) };
};

test('gives a secret of the kind that is asked for', () => {
  const secrets = new SecretSet();
  expect(secrets.get('generic', 'a')).toBeUndefined();
  secrets.apply({ set: [secret('a', 'one')], remove: [] });
  expect(secrets.get('generic', 'a')?.secret.toString()).toBe('one');
  expect(secrets.get('certificate', 'a')).toBeUndefined();
  secrets.apply({ set: [], remove: ['a'] });
  expect(secrets.get('generic', 'a')).toBeUndefined();
});

test('tells listeners of their secrets, once a change, when all of it is there', () => {
  const secrets = new SecretSet();
  const both = listener();
  const other = listener();
  let seen: string | undefined;
  const late = { onSecretsChanged: () => void (seen = secrets.get('generic', 'b')?.secret.toString()) };
  for (const name of ['a', 'b']) secrets.subscribe(name, both);
  secrets.subscribe('a', late);
  secrets.subscribe('c', other);
  secrets.apply({ set: [secret('a'), secret('b', 'new')], remove: [] });
  expect(both.heard).toEqual(['a,b']);
  expect(other.heard).toEqual([]);
  expect(seen).toBe('new');
});

test('tells of removals of what there was, and nothing after unsubscribing', () => {
  const secrets = new SecretSet();
  const one = listener();
  secrets.subscribe('a', one);
  secrets.apply({ set: [], remove: ['a'] });
  expect(one.heard).toEqual([]);
  secrets.apply({ set: [secret('a')], remove: [] });
  secrets.apply({ set: [], remove: ['a'] });
  expect(one.heard).toEqual(['a', 'a']);
  secrets.unsubscribe('a', one);
  secrets.apply({ set: [secret('a')], remove: [] });
  expect(one.heard).toHaveLength(2);
});
