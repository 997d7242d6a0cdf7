import { describe, expect, test } from 'vitest';
import { compileJson } from '../../../src/telemetry/access-log/json-format.ts';
import { FormatError } from '../../../src/telemetry/access-log/format.ts';
import { loggedRequest } from '../../support/log-context.ts';

const context = loggedRequest();

const format = {
  z: '%RESPONSE_CODE%',
  a: '%RESPONSE_CODE% x',
  num: '%DURATION%',
  m: '%REQ(nope)%',
  mm: '%REQ(nope)%-%REQ(nope)%',
  lit: 'abc',
  nest: {
    b: '%PROTOCOL%',
    a: ['%BYTES_SENT%', '%REQ(nope)%', { q: '%REQ(nope)%' }, []],
    empty: {},
  },
  n: 5,
  t: true,
  nul: null,
  utf: '%RESP(x-utf)%',
  bad: '%RESP(x-bad)%',
  q: '%REQ(x-q)%',
  flags: '%RESPONSE_FLAGS%',
  md: '%UPSTREAM_METADATA(m)%',
  port: '%DOWNSTREAM_LOCAL_PORT%',
  lrb: '%LOCAL_REPLY_BODY%',
  tls: '%DOWNSTREAM_TLS_VERSION%',
  fs: '%FILTER_STATE(my.key)%',
  dm: '%DYNAMIC_METADATA(d)%',
  dm4: '%DYNAMIC_METADATA(d):4%',
  'k"é/\u0001': 'v"é/</\u0001%%',
  g: '%GRPC_STATUS_NUMBER%',
  es: '%REQ(x-empty)%',
  f2: 5.5,
  pre: '%UPSTREAM_METADATA(m:f)% %UPSTREAM_METADATA(m:t)% %UPSTREAM_METADATA(m:big)%',
};

const wire = (text: string): string => Buffer.from(text).toString('latin1');

/** What Envoy 1.40 printed. */
const full =
  String.raw`{"a":"200 x","bad":"\u00ff\u00fea","dm":{"n":12,"o":{"a":{},"z":[1,"x",null,true]},"s":"sé\"x"},` +
  String.raw`"dm4":{"n":12,"o":{"a":{},"z":[1,"x",null,true]},"s":"sé\"x"},"es":"","f2":5.5,"flags":"-","fs":"val GET",` +
  String.raw`"g":null,"k\"é/\u0001":"v\"é/</\u0001%","lit":"abc","lrb":"","m":null,` +
  String.raw`"md":{"big":12345678901234567168,"f":1.5,"n":"str","nul":null,"num":3,"o":{"a":2,"b":1},"t":true},"mm":"---",` +
  String.raw`"n":5,"nest":{"a":[5,null,{"q":null},[]],"b":"HTTP/1.1","empty":{}},"nul":null,"num":4,"port":31170,` +
  String.raw`"pre":"1.5 true 12345678901234567168","q":"a\"b\\c/<é","t":true,"tls":null,"utf":"hé","z":200}` +
  '\n';

const sparse =
  String.raw`{"a":"200 x","bad":"\u00ff\u00fea","dm":{"n":12,"o":{"a":{},"z":[1,"x",null,true]},"s":"sé\"x"},` +
  String.raw`"dm4":{"n":12,"o":{"a":{},"z":[1,"x",null,true]},"s":"sé\"x"},"es":"","f2":5.5,"flags":"-","fs":"val GET",` +
  String.raw`"k\"é/\u0001":"v\"é/</\u0001%","lit":"abc","lrb":"",` +
  String.raw`"md":{"big":12345678901234567168,"f":1.5,"n":"str","nul":null,"num":3,"o":{"a":2,"b":1},"t":true},"mm":"-",` +
  String.raw`"n":5,"nest":{"a":[5,[]],"b":"HTTP/1.1"},"num":4,"port":31170,` +
  String.raw`"pre":"1.5 true 12345678901234567168","q":"a\"b\\c/<é","t":true,"utf":"hé","z":200}` +
  '\n';

describe('JSON formats', () => {
  test('print every field, typed, in byte order of the keys', () => {
    expect(compileJson(format).format(context)).toBe(wire(full));
  });

  test('omit_empty_values leaves out what has no value', () => {
    expect(compileJson(format, { omitEmptyValues: true }).format(context)).toBe(wire(sparse));
  });

  test('an object of nothing but missing values', () => {
    expect(compileJson({ a: '%REQ(nope)%' }, { omitEmptyValues: true }).format(context)).toBe('{}\n');
    expect(compileJson({}).format(context)).toBe('{}\n');
  });

  test('are refused for a bad string anywhere in them', () => {
    expect(() => compileJson({ a: [{ b: '%FOO%' }] })).toThrow(FormatError);
  });
});
