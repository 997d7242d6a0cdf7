import { create, fromJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LayeredRuntimeSchema } from '../../src/api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { Problems } from '../../src/config/problem.ts';
import { RuntimeLayers } from '../../src/config/runtime-layers.ts';
import { Runtime } from '../../src/config/runtime.ts';

function layersOf(json: unknown): { layers: RuntimeLayers; problems: Problems } {
  const problems = new Problems('layered_runtime');
  const message = fromJson(LayeredRuntimeSchema, { layers: json } as never);
  return { layers: new RuntimeLayers(message, problems), problems };
}

describe('layers', () => {
  const { layers, problems } = layersOf([
    {
      name: 'base',
      static_layer: {
        a: 1,
        s: 'text',
        f: { numerator: 5, denominator: 'TEN_THOUSAND' },
        h: { x: { y: 3 }, z: true },
        odd: { numerator: 5, other: 1 },
        'h.dotted': 9,
      },
    },
    { name: 'admin', admin_layer: {} },
    { name: 'over', static_layer: { a: 2 } },
  ]);

  test('flatten, and later ones win', () => {
    expect(problems.list).toEqual([]);
    expect(layers.names).toEqual(['base', 'admin', 'over']);
    expect(layers.merged()).toEqual({
      a: 2,
      s: 'text',
      f: { numerator: 5, denominator: 10_000 },
      'h.x.y': 3,
      'h.z': true,
      odd: '{"numerator":5,"other":1}',
      'h.dotted': 9,
    });
    expect(layers.valuesOf('a')).toEqual([1, undefined, 2]);
  });

  test('the admin layer takes overrides, in its place', () => {
    expect(layers.hasOverrides).toBe(false);
    expect(layers.modify({ a: '7', s: '8', n: 'yes', q: '"9"', f: '{numerator: 1}', t: 'a: b' })).toBe(true);
    expect(layers.valuesOf('a')).toEqual([1, 7, 2]);
    const { a, s, n, q, f, t } = layers.merged();
    expect({ a, s, n, q, f, t }).toEqual({
      a: 2,
      s: 8,
      n: true,
      q: '9',
      f: { numerator: 1, denominator: 100 },
      t: 'a: b',
    });
    expect(layers.hasOverrides).toBe(true);
    layers.modify({ s: '', a: '', n: '', q: '', f: '', t: '' });
    expect(layers.merged()['s']).toBe('text');
    expect(layers.hasOverrides).toBe(false);
  });

  test('without a config there are none, and no overrides', () => {
    const none = new RuntimeLayers(undefined, new Problems());
    expect(none.names).toEqual([]);
    expect(none.modify({ a: '1' })).toBe(false);
  });

  test.each<[string, unknown, object[]]>([
    [
      'a name twice',
      [
        { name: 'a', static_layer: {} },
        { name: 'a', static_layer: {} },
      ],
      [{ path: 'layered_runtime.layers[1].name', severity: 'error' }],
    ],
    [
      'two admin layers',
      [
        { name: 'a', admin_layer: {} },
        { name: 'b', admin_layer: {} },
      ],
      [{ path: 'layered_runtime.layers[1]', severity: 'error' }],
    ],
    [
      'lists and nulls',
      [{ name: 'a', static_layer: { x: { y: [1] }, z: null } }],
      [
        { path: 'layered_runtime.layers[0].static_layer.x.y', message: 'invalid runtime entry value for x.y' },
        { path: 'layered_runtime.layers[0].static_layer.z', message: 'invalid runtime entry value for z' },
      ],
    ],
    [
      'a discovered layer without a source',
      [{ name: 'a', rtds_layer: {} }],
      [{ path: 'layered_runtime.layers[0].rtds_layer.rtds_config', severity: 'error' }],
    ],
  ])('%s', (_, json, expected) => {
    expect(layersOf(json).problems.list).toMatchObject(expected);
  });

  test('an empty message is as none', () => {
    expect(new RuntimeLayers(create(LayeredRuntimeSchema), new Problems()).names).toEqual([]);
  });
});

describe('reading', () => {
  const runtime = new Runtime({
    number: 3.5,
    text: '4',
    word: 'hello',
    trueText: 'true',
    yes: true,
    zero: 0,
    minus: -3,
    fraction: { numerator: 5, denominator: 10_000 },
    percent: 30,
    many: 101,
  });

  test('numbers', () => {
    expect(runtime.getNumber('number', 1)).toBe(3.5);
    expect(runtime.getNumber('text', 1)).toBe(4);
    expect(runtime.getNumber('word', 1)).toBe(1);
    expect(runtime.getNumber('none', 1)).toBe(1);
  });

  test('booleans: whole numbers are some, the word in quotes is none', () => {
    expect(runtime.getBoolean('yes', false)).toBe(true);
    expect(runtime.getBoolean('zero', true)).toBe(false);
    expect(runtime.getBoolean('text', false)).toBe(true);
    expect(runtime.getBoolean('trueText', false)).toBe(false);
    expect(runtime.getBoolean('number', false)).toBe(false);
  });

  test('text', () => {
    expect(runtime.getString('word')).toBe('hello');
    expect(runtime.getString('yes')).toBe('true');
    expect(runtime.getString('none')).toBeUndefined();
  });

  test.each([
    ['the default', '', 1, 0, true],
    ['the default', 'none', 1, 1, false],
    ['the random value wraps', '', 1, 100, true],
    ['a fraction', 'fraction', 1, 4, true],
    ['a fraction', 'fraction', 1, 5, false],
    ['a whole number is percent', 'percent', 1, 29, true],
    ['a whole number is percent', 'percent', 1, 30, false],
    ['beyond 100 is always', 'many', 0, 99, true],
    ['negative is no number', 'minus', 1, 0, true],
    ['a word is no number', 'word', 1, 1, false],
  ])('featureEnabled: %s', (_, key, numerator, random, enabled) => {
    expect(runtime.featureEnabled(key, { numerator, denominator: 100 }, random)).toBe(enabled);
  });

  test('values are replaced as a whole', () => {
    const changing = new Runtime({ a: 1 });
    changing.apply({ b: 2 });
    expect([changing.getNumber('a', 0), changing.getNumber('b', 0)]).toEqual([0, 2]);
  });
});
