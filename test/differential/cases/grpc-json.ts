import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';
import { bookstoreDescriptors } from '../../support/bookstore.ts';

/** grpc_json_transcoder, over HTTP/1.1 with trailers. */
const descriptors = bookstoreDescriptors().toString('base64');
const transcoder = (config: object = {}): ListenerParts => ({
  filters: [
    {
      name: 'envoy.filters.http.grpc_json_transcoder',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder',
        proto_descriptor_bin: descriptors,
        services: ['test.Bookstore'],
        ...config,
      },
    },
  ] as never,
  routes: [{ match: { prefix: '/' }, route: { cluster: 'grpc' } }],
});

export const clusters = { grpc: { http_protocol_options: { enable_trailers: true } } };
export const listeners: Readonly<Record<string, ListenerParts>> = {
  json: transcoder(),
  auto: transcoder({ auto_mapping: true, match_incoming_request_route: true, url_unescape_spec: 'ALL_CHARACTERS' }),
  slash: transcoder({ url_unescape_spec: 'ALL_CHARACTERS_EXCEPT_SLASH', query_param_unescape_plus: true }),
  strict: transcoder({
    request_validation_options: { reject_unknown_method: true, reject_unknown_query_parameters: true },
    match_unregistered_custom_verb: true,
  }),
  lenient: transcoder({ ignore_unknown_query_parameters: true, case_insensitive_enum_parsing: true }),
  ignoring: transcoder({ ignored_query_parameters: ['x'], convert_grpc_status: true }),
  pretty: transcoder({ print_options: { add_whitespace: true, always_print_primitive_fields: true } }),
  raw: transcoder({
    print_options: {
      always_print_enums_as_ints: true,
      preserve_proto_field_names: true,
      stream_newline_delimited: true,
    },
  }),
  limited: transcoder({ max_request_body_size: 20 }),
  off: transcoder({ services: [] }),
};

const frame = (message: string): string => {
  const head = Buffer.from([0, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return head.toString('latin1') + message;
};
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const text = (field: number, value: string): string => String.fromCharCode((field << 3) | 2, value.length) + value;
const number = (field: number, value: number): string => String.fromCharCode(field << 3, value);
/** id 7, title, shelf_name, author, two tags, genre DRAMA, in_print. */
const book = [
  number(1, 7),
  text(2, 'A <b> "q" \n'),
  text(3, 's'),
  text(4, text(1, 'N') + number(2, 99)),
  text(5, 'x'),
  text(5, 'y'),
  number(6, 2),
  number(7, 1),
].join('');

interface Answer {
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly pieces?: readonly string[];
  readonly trailers?: readonly string[];
}
const OK = ['grpc-status: 0'];

function answer({ status = 200, headers = ['content-type: application/grpc'], pieces, trailers = [] }: Answer): string {
  let out = `HTTP/1.1 ${status} S\r\n${headers.map((line) => `${line}\r\n`).join('')}`;
  if (pieces === undefined) out += 'content-length: 0\r\n\r\n';
  else {
    out += 'transfer-encoding: chunked\r\n\r\n';
    for (const piece of pieces) out += `${piece.length.toString(16)}\r\n${piece}\r\n`;
    out += `0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;
  }
  return `raw-keep:${base64(out)}`;
}

const reply: Answer = { pieces: [frame(book)], trailers: OK };
const failed: Answer = { pieces: [], trailers: ['grpc-status: 5', 'grpc-message: no %7Ebook'] };
const trailersOnly: Answer = { headers: ['content-type: application/grpc', 'grpc-status: 9', 'grpc-message: no'] };

interface Call {
  readonly to?: string;
  readonly body?: string;
  readonly type?: string;
  readonly answer?: Answer;
  readonly ignore?: Case['ignore'];
}

/** Envoy writes fields as they come, an empty message before the one that replaces it, and lists unpacked; all of it means the same. */
const order: Case['ignore'] = ['upstream'];

/** `line`: method and target. */
const call = (
  line: string,
  { to = 'json', body, type = 'application/json', answer: back = reply, ignore }: Call = {},
): Case => {
  const lines = [`${line} HTTP/1.1`, 'host: h', `x-up: ${answer(back)}`];
  if (body !== undefined) lines.push(`content-type: ${type}`, `content-length: ${body.length}`);
  return {
    name: `${to}: ${line}${body === undefined ? '' : ` ${body.slice(0, 60)}`} -> ${JSON.stringify(back).slice(0, 90)}`,
    listener: to,
    send: `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`,
    exact: true,
    responses: 1,
    timeoutMs: 1500,
    ...(ignore !== undefined && { ignore }),
  };
};
/** The texts of the two parsers differ; the outcome doesn't. Envoy hears of the end of a body after the last of it. */
const wording: Case['ignore'] = ['response', 'log', 'counters', 'upstream'];

export const cases: readonly Case[] = [
  call('GET /shelves/7/books/a'),
  call('GET /shelves/7/books/a%2Fb%20%41+c?shelf_name=x%20y+z&tags=1&tags=2&genre=DRAMA&inPrint=true'),
  call('GET /shelves/7/books/a?in_print=true&price=1.5&cover=aGk%3D&printed=2020-01-02T03%3A04%3A05Z', {
    ignore: order,
  }),
  call('GET /shelves/7/books/a?genre=2&=x&y'),
  call('GET /shelves/7/books/a/'),
  call('GET /shelves/x/books/a', { ignore: wording }),
  call('GET /shelves/7/books/a?genre=NONE', { ignore: wording }),
  call('GET /shelves/7/books/a?in_print=maybe', { ignore: wording }),
  call('GET /v1/shelves/a/b/c%2Fd%23%20e'),
  call('GET /v1/shelves/a/b/c%2Fd%23%20e', { to: 'auto' }),
  call('GET /v1/shelves/a/b/c%2Fd%23%20e?shelf_name=a+b', { to: 'slash' }),
  call('GET /v1/shelves/a'),
  call('GET /nothing'),
  call('GET /nothing', { to: 'strict' }),
  call('DELETE /books', { to: 'strict' }),
  call('GET /shelves/7/books/a?unknown=1'),
  call('GET /shelves/7/books/a?unknown=1', { to: 'strict' }),
  call('GET /shelves/7/books/a?author.unknown=1', { to: 'strict' }),
  call('GET /shelves/7/books/a?unknown=1', { to: 'lenient' }),
  call('GET /shelves/7/books/a?genre=drama', { to: 'lenient' }),
  call('GET /shelves/7/books/a?x=1', { to: 'ignoring' }),
  call('GET /shelves/7/books/a', { to: 'off' }),
  call('POST /books', {
    body: '{"id":"7","title":"T","author":{"name":"N"},"tags":["a"],"genre":"POETRY","unknown":1}',
  }),
  call('POST /books?tags=b&genre=1', { body: '{"id":7,"tags":["a"]}' }),
  call('POST /books', { body: '' }),
  call('POST /books', { body: '{}' }),
  call('POST /books', { body: '{"id":', ignore: wording }),
  call('POST /books', { body: '[]', ignore: wording }),
  call('POST /books', { body: '{"id":"x"}', ignore: wording }),
  call('POST /books', { body: '{"genre":"poetry"}', to: 'lenient' }),
  call('POST /books', { body: '{"title":"far too long"}', to: 'limited' }),
  call('POST /books', { type: 'application/grpc', body: frame('x') }),
  call('PUT /books/7/author', { body: '{"name":"N","born":1}', ignore: order }),
  call('PUT /books/7/author?author.born=3', { body: '{"name":"N"}', ignore: order }),
  call('POST /books/7:archive', { answer: { pieces: [frame('')], trailers: OK } }),
  call('POST /books/7:other'),
  call('POST /books/7:other', { to: 'strict' }),
  call('SEARCH /books?title=x'),
  call('POST /all', { body: '[{"id":1},{"id":"2","title":"]}\\","}]' }),
  call('POST /all', { body: '[]' }),
  call('POST /all', { body: '[{"id":1},]', ignore: wording }),
  call('POST /upload/n?body.data=x', {
    type: 'image/png',
    body: 'bytes \x00\xff',
    ignore: order,
    answer: { pieces: [frame('')], trailers: OK },
  }),
  call('GET /raw/7', {
    answer: { pieces: [frame(text(1, 'text/html') + text(2, '<b>'))], trailers: OK },
  }),
  call('POST /test.Bookstore/Unmapped', { to: 'auto', body: '{"id":1}' }),
  call('POST /test.Bookstore/Unmapped', { body: '{"id":1}' }),

  call('GET /shelves/7/books/a', { to: 'pretty' }),
  call('GET /shelves/7/books/a', { to: 'pretty', answer: { pieces: [frame('')], trailers: OK } }),
  call('GET /shelves/7/books/a', { to: 'raw' }),
  call('GET /shelves/7/books/a', { answer: { pieces: [frame(book).slice(0, 9), frame(book).slice(9)], trailers: OK } }),
  call('GET /shelves/7/books/a', { answer: { pieces: [frame(book)], trailers: ['x-a: b'] } }),
  call('GET /shelves/7/books/a', { answer: { pieces: [frame(book)], trailers: ['grpc-status: x'] } }),
  call('GET /shelves/7/books/a', {
    answer: { pieces: [frame(book)], trailers: ['grpc-status: 7', 'grpc-message: m'] },
  }),
  call('GET /shelves/7/books/a', { answer: failed }),
  call('GET /shelves/7/books/a', { answer: trailersOnly }),
  call('GET /shelves/7/books/a', { to: 'ignoring', answer: failed }),
  call('GET /shelves/7/books/a', { to: 'ignoring', answer: trailersOnly }),
  call('GET /shelves/7/books/a', {
    to: 'ignoring',
    answer: {
      headers: [
        'content-type: application/grpc',
        'grpc-status: 3',
        `grpc-status-details-bin: ${base64(`${number(1, 3)}${text(2, 'bad')}`)}`,
      ],
    },
  }),
  call('GET /shelves/7/books/a', { answer: { status: 404, headers: ['content-type: text/plain'], pieces: ['none'] } }),
  call('GET /shelves/7/books/a', { answer: { pieces: [frame('\xff\xff')], trailers: OK }, ignore: wording }),
  ...['json', 'raw'].flatMap((to) => [
    call('GET /books', {
      to,
      answer: { pieces: [frame(number(1, 1)), frame(number(1, 2)) + frame('')], trailers: OK },
    }),
    call('GET /books', { to, answer: { pieces: [], trailers: OK } }),
    { ...call('GET /books', { to, answer: trailersOnly }), name: `${to}: a stream that is nothing but an outcome` },
    call('GET /books', { to, answer: failed }),
  ]),
];
