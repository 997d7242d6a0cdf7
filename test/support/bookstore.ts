import { create, setExtension, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptionsSchema,
  file_google_protobuf_any,
  file_google_protobuf_descriptor,
  file_google_protobuf_timestamp,
  type FileDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { file_google_api_annotations, http } from '../../src/api/generated/google/api/annotations_pb.js';
import { HttpRuleSchema, file_google_api_http } from '../../src/api/generated/google/api/http_pb.js';

type Fields = Readonly<Record<string, readonly [number: number, type: Type | string, repeated?: 'repeated']>>;

function message(name: string, fields: Fields) {
  return {
    name,
    field: Object.entries(fields).map(([field, [number, type, repeated]]) => ({
      name: field,
      number,
      label: repeated === undefined ? Label.OPTIONAL : Label.REPEATED,
      ...(typeof type !== 'string'
        ? { type }
        : { type: type === '.test.Genre' ? Type.ENUM : Type.MESSAGE, typeName: type }),
    })),
  };
}

interface Method {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly rule?: MessageInitShape<typeof HttpRuleSchema>;
  readonly streams?: 'client' | 'server' | 'both';
}

function method({ name, input, output, rule, streams = undefined }: Method) {
  const options = create(MethodOptionsSchema);
  if (rule !== undefined) setExtension(options, http, create(HttpRuleSchema, rule));
  return {
    name,
    inputType: input,
    outputType: output,
    clientStreaming: streams === 'client' || streams === 'both',
    serverStreaming: streams === 'server' || streams === 'both',
    ...(rule !== undefined && { options }),
  };
}

const get = (value: string): MessageInitShape<typeof HttpRuleSchema> => ({ pattern: { case: 'get', value } });
const post = (value: string, body: string): MessageInitShape<typeof HttpRuleSchema> => ({
  pattern: { case: 'post', value },
  body,
});

const httpBody = create(FileDescriptorProtoSchema, {
  name: 'google/api/httpbody.proto',
  package: 'google.api',
  syntax: 'proto3',
  dependency: ['google/protobuf/any.proto'],
  messageType: [
    message('HttpBody', {
      content_type: [1, Type.STRING],
      data: [2, Type.BYTES],
      extensions: [3, '.google.protobuf.Any', 'repeated'],
    }),
  ],
});

const bookstore = create(FileDescriptorProtoSchema, {
  name: 'bookstore.proto',
  package: 'test',
  syntax: 'proto3',
  dependency: ['google/api/annotations.proto', 'google/api/httpbody.proto', 'google/protobuf/timestamp.proto'],
  enumType: [
    {
      name: 'Genre',
      value: [
        { name: 'UNKNOWN', number: 0 },
        { name: 'POETRY', number: 1 },
        { name: 'DRAMA', number: 2 },
      ],
    },
  ],
  messageType: [
    message('Author', { name: [1, Type.STRING], born: [2, Type.INT32] }),
    message('Book', {
      id: [1, Type.INT64],
      title: [2, Type.STRING],
      shelf_name: [3, Type.STRING],
      author: [4, '.test.Author'],
      tags: [5, Type.STRING, 'repeated'],
      genre: [6, '.test.Genre'],
      in_print: [7, Type.BOOL],
      price: [8, Type.DOUBLE],
      cover: [9, Type.BYTES],
      printed: [10, '.google.protobuf.Timestamp'],
      editions: [11, Type.INT32, 'repeated'],
    }),
    message('Upload', { name: [1, Type.STRING], body: [2, '.google.api.HttpBody'] }),
    message('Empty', {}),
  ],
  service: [
    {
      name: 'Bookstore',
      method: [
        method({
          name: 'GetBook',
          input: '.test.Book',
          output: '.test.Book',
          rule: {
            ...get('/shelves/{id}/books/{title}'),
            additionalBindings: [create(HttpRuleSchema, get('/v1/{title=shelves/*/**}'))],
          },
        }),
        method({ name: 'CreateBook', input: '.test.Book', output: '.test.Book', rule: post('/books', '*') }),
        method({
          name: 'SetAuthor',
          input: '.test.Book',
          output: '.test.Book',
          rule: { pattern: { case: 'put', value: '/books/{id}/author' }, body: 'author' },
        }),
        method({ name: 'Archive', input: '.test.Book', output: '.test.Empty', rule: post('/books/{id}:archive', '') }),
        method({
          name: 'Search',
          input: '.test.Book',
          output: '.test.Book',
          rule: { pattern: { case: 'custom', value: { kind: 'SEARCH', path: '/books' } } },
        }),
        method({
          name: 'ListBooks',
          input: '.test.Book',
          output: '.test.Book',
          rule: get('/books'),
          streams: 'server',
        }),
        method({
          name: 'AddBooks',
          input: '.test.Book',
          output: '.test.Book',
          rule: post('/all', '*'),
          streams: 'client',
        }),
        method({ name: 'Echo', input: '.test.Book', output: '.test.Book', rule: post('/echo', '*'), streams: 'both' }),
        method({ name: 'Upload', input: '.test.Upload', output: '.test.Empty', rule: post('/upload/{name}', 'body') }),
        method({ name: 'Download', input: '.test.Book', output: '.google.api.HttpBody', rule: get('/raw/{id}') }),
        method({ name: 'Unmapped', input: '.test.Book', output: '.test.Book' }),
      ],
    },
  ],
});

/** A service with HTTP rules of every kind, as a descriptor set. */
export function bookstoreDescriptors(): Buffer {
  const files: FileDescriptorProto[] = [
    file_google_protobuf_descriptor.proto,
    file_google_protobuf_any.proto,
    file_google_protobuf_timestamp.proto,
    file_google_api_http.proto,
    file_google_api_annotations.proto,
    httpBody,
    bookstore,
  ];
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })));
}
