// What generated modules make their descriptors with (generate-api.mjs puts it beside them).
import { fromBinary } from '@bufbuild/protobuf';
import { fileDesc as hydrate } from '@bufbuild/protobuf/codegenv2';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** Fields of google/protobuf/descriptor.proto. */
const NAME = 1;
const FILE = { package: 2, message: 4, enum: 5, service: 6, extension: 7, syntax: 12 };
const MESSAGE = { field: 2, nested: 3, enum: 4, extension: 6, options: 7 };
const MAP_ENTRY = 7;
const TYPE_NAME = 6;

/**
 * A file's descriptor, whose messages and enums are made when somebody looks into them: a config uses some dozens of
 * the two thousand messages that it could name. Only proto3 files of messages and enums alone (nearly all are) can be
 * taken apart like this; others are made whole.
 */
export function fileDesc(base64, imports = []) {
  const bytes = Buffer.from(base64, 'base64');
  const fields = fieldsOf(bytes);
  if (textOf(bytes, fields, FILE.syntax) === 'proto3' && !has(fields, FILE.service) && !has(fields, FILE.extension)) {
    const file = new LazyFile(bytes, fields, imports);
    if (file.isPlain) return file;
  }
  return wholeFile(base64, imports);
}

/**
 * protobuf-es walks the imports of imports once for each way to them. Only what a file imports itself can be named in
 * it (Envoy's API has no public imports), so the imports of imports are hidden for that time.
 */
function wholeFile(base64, imports) {
  const hidden = imports.map((file) => file.dependencies);
  for (const file of imports) file.dependencies = [];
  try {
    return hydrate(base64, imports);
  } finally {
    for (const [index, file] of imports.entries()) file.dependencies = hidden[index];
  }
}

class LazyFile {
  kind = 'file';
  deprecated = false;
  edition = 999;
  enums;
  messages;
  extensions = [];
  services = [];
  /** By their names, nested ones too. */
  types = new Map();
  /** False when a message holds what can't be made by itself. */
  isPlain = true;
  bytes;
  whole = undefined;
  /** What every piece begins with. */
  #head;

  constructor(bytes, fields, imports) {
    const all = (no) => fields.filter((field) => field.no === no);
    this.name = textOf(bytes, fields, NAME).replace(/\.proto$/, '');
    this.package = textOf(bytes, fields, FILE.package) ?? '';
    this.dependencies = imports;
    this.bytes = bytes;
    this.#head = [NAME, FILE.package, FILE.syntax].flatMap(all);
    const making = (field) => () => this.#make(field);
    this.enums = all(FILE.enum).map((field) => new LazyEnum(this, undefined, bytes, field, making(field)));
    this.messages = all(FILE.message).map((field) => new LazyMessage(this, undefined, bytes, field, making(field)));
  }

  /** Whole, for who wants to hand the file's descriptor on. */
  get proto() {
    return (this.whole ??= fromBinary(FileDescriptorProtoSchema, this.bytes));
  }

  toString() {
    return `file ${this.name}.proto`;
  }

  /** Makes the descriptors of one top-level type and those in it, and gives them to what stands for them. */
  #make(field) {
    const bytes = Buffer.concat([...this.#head, field].map(({ from, to }) => this.bytes.subarray(from, to)));
    const names = field.no === FILE.message ? namesIn(this.bytes, field) : [];
    const files = [this, ...this.dependencies];
    // Without map entries: those are in the piece itself.
    const named = names.flatMap((name) => files.flatMap((file) => typeIn(file, name) ?? []));
    // Not looked into, when they are enums.
    const made = hydrate(bytes.toString('base64'), [{ ...NO_FILE, enums: named }]);
    const standIns = new Map(typesOf(made).map((type) => [type, this.types.get(type.typeName)]));
    for (const [type, standIn] of standIns) standIn.become(type, standIns);
  }
}

const NO_FILE = { kind: 'file', proto: { name: '' }, dependencies: [], messages: [], services: [], extensions: [] };

/** Of a descriptor what is known without making it; the rest makes it first. */
class LazyType {
  #make;

  constructor(kind, file, parent, bytes, fields, make) {
    const name = textOf(bytes, fields, NAME);
    const scope = parent?.typeName ?? file.package;
    this.kind = kind;
    this.name = name;
    this.typeName = scope === '' ? name : `${scope}.${name}`;
    this.file = file;
    this.parent = parent;
    this.#make = make;
    file.types.set(this.typeName, this);
  }

  /** @param standIns of what was made together, what stands for each */
  become(type, standIns) {
    for (const key of this.lazyKeys)
      Object.defineProperty(this, key, { value: type[key], enumerable: true, configurable: true, writable: true });
    for (const field of type.fields ?? []) {
      field.parent = this;
      if (standIns.has(field.message)) field.message = standIns.get(field.message);
      if (standIns.has(field.enum)) field.enum = standIns.get(field.enum);
    }
    for (const each of type.oneofs ?? type.values) each.parent = this;
  }

  make(key) {
    this.#make();
    return this[key];
  }

  toString() {
    return `${this.kind} ${this.typeName}`;
  }
}

class LazyMessage extends LazyType {
  nestedEnums = [];
  nestedMessages = [];
  nestedExtensions = [];

  constructor(file, parent, bytes, { body, to }, make) {
    const fields = fieldsOf(bytes, body, to);
    super('message', file, parent, bytes, fields, make);
    for (const field of fields)
      if (field.no === MESSAGE.enum) this.nestedEnums.push(new LazyEnum(file, this, bytes, field, make));
      else if (field.no === MESSAGE.extension) file.isPlain = false;
      else if (field.no === MESSAGE.nested && !isMapEntry(bytes, field))
        this.nestedMessages.push(new LazyMessage(file, this, bytes, field, make));
  }
}

class LazyEnum extends LazyType {
  constructor(file, parent, bytes, { body, to }, make) {
    super('enum', file, parent, bytes, fieldsOf(bytes, body, to), make);
  }
}

for (const [type, keys] of [
  [LazyMessage, ['proto', 'deprecated', 'fields', 'field', 'oneofs', 'members']],
  [LazyEnum, ['proto', 'deprecated', 'open', 'value', 'values', 'sharedPrefix']],
]) {
  Object.defineProperty(type.prototype, 'lazyKeys', { value: keys });
  for (const key of keys)
    Object.defineProperty(type.prototype, key, {
      get() {
        return this.make(key);
      },
    });
}

/** The messages and enums of a file or message, nested ones too. */
function typesOf({ messages, enums, nestedMessages, nestedEnums }) {
  return [
    ...(enums ?? nestedEnums),
    ...(messages ?? nestedMessages).flatMap((message) => [message, ...typesOf(message)]),
  ];
}

function typeIn(file, name) {
  let types = file.types ?? typesOfWhole.get(file);
  if (types === undefined) {
    types = new Map(typesOf(file).map((type) => [type.typeName, type]));
    typesOfWhole.set(file, types);
  }
  return types.get(name);
}

const typesOfWhole = new WeakMap();

/** The types that the fields of a message and of those in it name. */
function namesIn(bytes, { body, to }) {
  return fieldsOf(bytes, body, to).flatMap((each) => {
    if (each.no === MESSAGE.nested) return namesIn(bytes, each);
    if (each.no !== MESSAGE.field) return [];
    const name = textOf(bytes, fieldsOf(bytes, each.body, each.to), TYPE_NAME);
    return name === undefined ? [] : [name.slice(1)];
  });
}

function isMapEntry(bytes, { body, to }) {
  const options = fieldsOf(bytes, body, to).find(({ no }) => no === MESSAGE.options);
  return options !== undefined && has(fieldsOf(bytes, options.body, options.to), MAP_ENTRY);
}

function has(fields, no) {
  return fields.some((field) => field.no === no);
}

function textOf(bytes, fields, no) {
  const field = fields.find((each) => each.no === no);
  return field && bytes.toString('utf8', field.body, field.to);
}

/** The fields of a message: where each and what it holds begins, and where it ends. */
function fieldsOf(bytes, start = 0, end = bytes.length) {
  const fields = [];
  let at = start;
  const varint = () => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < end) {
    const from = at;
    const tag = varint();
    let body = at;
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const length = varint();
        body = at;
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
    }
    fields.push({ no: tag >>> 3, from, body, to: at });
  }
  return fields;
}
