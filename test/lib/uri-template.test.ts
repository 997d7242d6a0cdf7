import { describe, expect, test } from 'vitest';
import { compileUriTemplate, compileUriTemplateRewrite } from '../../src/lib/uri-template.ts';

describe('compileUriTemplate', () => {
  test.each([
    ['/api/users', '/api/users', true],
    ['/api/users', '/api/users/', false],
    ['/api/{user}', '/api/john', true],
    ['/api/{user}', '/api/john/x', false],
    ['/api/*/posts', '/api/john/posts', true],
    ['/api/*/posts', '/api//posts', false],
    ['/files/**', '/files/a/b/c', true],
    ['/files/**', '/files/', true],
    ['/files/{rest=**}', '/files/a/b.txt', true],
    ['/{a=*/x}/y', '/1/x/y', true],
    ['/{path=**}.m3u8', '/a/b.m3u8', true],
    ['/{path=**}.m3u8', '/a/b.ts', false],
    ['/a.b', '/aXb', false],
    ['/a/{b}.json/x', '/a/1.json/x', true],
    ['/a/{b}.json/x', '/a/.json/x', false],
    ['/p{x}s/t', '/pQs/t', true],
    ['/p{x}s/t', '/ps/t', false],
    ['/x{a=**}', '/xq/w', true],
    ['/*.html', '/foo.html', true],
    ['/a/**b', '/a/x/yb', true],
    ['/a=b', '/a=b', true],
    ['/a*/b', '/a/b', true],
    ['/a*/b', '/aZ/b', false],
    ['/x**', '/x', false],
    ['/{a}', '/*=', true],
  ])('%s on %s: %s', (template, path, expected) => {
    expect(compileUriTemplate(template).matches(path)).toBe(expected);
  });

  test.each([
    ['api', 'Invalid pattern'],
    ['/{a', 'Unmatched variable bracket'],
    ['/{1a}', 'Invalid variable name'],
    ['/{a}/{a}', 'Repeated variable name'],
    ['/{a}/{b}/{c}/{d}/{e}/{f}', 'Exceeded variable count limit'],
    ['/{abcdefghijklmnopq}', 'Invalid variable length'],
    ['/**/*', 'Glob after text glob.'],
    ['/**/{a}', 'Implicit variable path glob after text glob.'],
    ['/{a=}', 'Empty variable match'],
    ['/{a=*/}', 'Invalid variable match'],
    ['/*abc/d', 'Prefix match not supported.'],
    ['/{a}-{b}', 'Invalid literal: "-{b}"'],
    ['/a{x}{y}', 'Invalid literal: "{y}"'],
    ['/pre{x=*/y}', 'Invalid literal: "pre{x=*"'],
    ['/a}b', 'Invalid literal: "a}b"'],
    ['//', 'Invalid literal: ""'],
  ])('refuses %s: %s', (template, message) => {
    expect(() => compileUriTemplate(template)).toThrow(message);
  });

  test('the literal prefix ends where the first wildcard begins', () => {
    expect(compileUriTemplate('/a/b/{c}/d').literalPrefix).toBe('/a/b/');
    expect(compileUriTemplate('/a/b').literalPrefix).toBe('/a/b');
    expect(compileUriTemplate('/a/b{c}').literalPrefix).toBe('/a/b');
    expect(compileUriTemplate('/a/bc*d/e').literalPrefix).toBe('/a/b');
  });
});

describe('compileUriTemplateRewrite', () => {
  const rewrite = (template: string, pattern: string, path: string): string | undefined =>
    compileUriTemplate(template).rewrite(path, compileUriTemplateRewrite(pattern, template));

  test('puts variables where the pattern names them', () => {
    expect(rewrite('/{country}/{lang}/{path=**}', '/{lang}/{country}/{path}', '/ch/de/a/b')).toBe('/de/ch/a/b');
    expect(rewrite('/a/{b}', '/fixed', '/a/1')).toBe('/fixed');
    expect(rewrite('/a/{b}', '/{b}', '/other')).toBeUndefined();
  });

  test.each([
    ['{b}', 'Invalid rewrite variable placement'],
    ['/x//{b}', 'Invalid rewrite literal'],
    ['/{c}', 'Nonexisting variable name'],
    ['/{b', 'Unmatched variable bracket'],
    ['/{1}', 'Invalid variable name'],
    ['/a}b', 'Invalid rewrite literal pattern'],
  ])('refuses %s: %s', (pattern, message) => {
    expect(() => compileUriTemplateRewrite(pattern, '/a/{b}')).toThrow(message);
  });
});
