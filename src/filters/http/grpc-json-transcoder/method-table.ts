import {
  createFileRegistry,
  fromBinary,
  getOption,
  type DescField,
  type DescMethod,
  type FileRegistry,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, type DescriptorProto } from '@bufbuild/protobuf/wkt';
import {
  GrpcJsonTranscoder_UrlUnescapeSpec as UrlUnescapeSpec,
  type GrpcJsonTranscoder,
} from '../../../api/generated/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js';
import { http } from '../../../api/generated/google/api/annotations_pb.js';
import type { HttpRule } from '../../../api/generated/google/api/http_pb.js';
import { ConfigError } from '../../config-type.ts';
import {
  PathMatcher,
  parseTemplate,
  unescapeText,
  variableValue,
  type PathTemplate,
  type Unescaping,
} from './path-template.ts';
import { resolveFields, type Binding } from './request-weaver.ts';

export const HTTP_BODY = 'google.api.HttpBody';

/** A method under one of its HTTP rules. */
export interface MethodRule {
  readonly method: DescMethod;
  readonly template: PathTemplate;
  /** Where the body goes; empty: it is the whole request. */
  readonly bodyFields: readonly DescField[];
  /** Where the body of a response comes from; other than empty only for HttpBody. */
  readonly responseFields: readonly DescField[];
  readonly requestIsHttpBody: boolean;
  readonly responseIsHttpBody: boolean;
}

/** What a request calls: the method, and what its path and query say of the request message. */
export interface MethodCall {
  readonly rule: MethodRule;
  readonly bindings: readonly Binding[];
}

/** Why a request is no call. */
export interface NoCall {
  readonly code: 'NOT_FOUND' | 'INVALID_ARGUMENT';
  readonly message: string;
}

/** The methods of the configured services by their HTTP rules. */
export class MethodTable {
  readonly registry: FileRegistry;
  readonly #matcher: PathMatcher<MethodRule>;
  readonly #ignored: ReadonlySet<string>;
  readonly #ignoreUnknown: boolean;
  readonly #unescaping: Unescaping;
  readonly #plusIsSpace: boolean;

  /** Throws ConfigError, in Envoy's words. */
  constructor(config: GrpcJsonTranscoder, descriptors: Uint8Array) {
    if (config.captureUnknownQueryParameters)
      throw new ConfigError('not implemented', 'capture_unknown_query_parameters');
    this.registry = registryOf(descriptors);
    this.#matcher = new PathMatcher(config.matchUnregisteredCustomVerb);
    this.#ignored = new Set(config.ignoredQueryParameters);
    this.#ignoreUnknown = config.ignoreUnknownQueryParameters;
    this.#plusIsSpace = config.queryParamUnescapePlus;
    this.#unescaping = unescapingOf(config.urlUnescapeSpec);
    for (const name of config.services) {
      const service = this.registry.getService(name);
      if (service === undefined)
        throw new ConfigError(`transcoding_filter: Could not find '${name}' in the proto descriptor`, 'services');
      for (const method of service.methods) this.#register(method, config.autoMapping);
    }
  }

  #register(method: DescMethod, autoMapping: boolean): void {
    const rule = getOption(method, http);
    const path = `/${method.parent.typeName}/${method.name}`;
    const isMapped = rule.pattern.case !== undefined;
    if (isMapped) this.#registerRule(method, rule);
    else if (autoMapping) this.#add(method, 'POST', path, '*', '');
  }

  #registerRule(method: DescMethod, rule: HttpRule): void {
    const { pattern } = rule;
    if (pattern.case === 'custom')
      this.#add(method, pattern.value.kind, pattern.value.path, rule.body, rule.responseBody);
    else if (pattern.case !== undefined)
      this.#add(method, pattern.case.toUpperCase(), pattern.value, rule.body, rule.responseBody);
    for (const more of rule.additionalBindings) this.#registerRule(method, more);
  }

  #add(method: DescMethod, verb: string, path: string, body: string, responseBody: string): void {
    const fail = (reason: string): never => {
      throw new ConfigError(
        `transcoding_filter: Cannot register '${method.parent.typeName}.${method.name}'${reason}`,
        'services',
      );
    };
    const bodyFields = body === '' || body === '*' ? [] : resolveFields(method.input, body.split('.'));
    const responseFields = responseBody === '' ? [] : resolveFields(method.output, responseBody.split('.'));
    if (typeof bodyFields === 'string') return fail(`: ${bodyFields}`);
    if (typeof responseFields === 'string') return fail(`: ${responseFields}`);
    const responseIsHttpBody = isHttpBody(method.output.typeName, responseFields);
    if (responseFields.length > 0 && !responseIsHttpBody)
      fail(`: Setting "response_body" is not supported yet for non-HttpBody fields: ${method.output.typeName}`);
    const template = parseTemplate(path);
    const added = this.#matcher.add(verb, template, {
      method,
      template,
      bodyFields,
      responseFields,
      requestIsHttpBody: isHttpBody(method.input.typeName, bodyFields),
      responseIsHttpBody,
    });
    if (!added) fail(' to path matcher');
  }

  find(httpMethod: string, target: string): MethodCall | NoCall {
    const query = target.indexOf('?');
    const path = query === -1 ? target : target.slice(0, query);
    const found = this.#matcher.find(httpMethod, path);
    if (found === undefined) return { code: 'NOT_FOUND', message: `Could not resolve ${path} to a method.` };
    const { rule, segments } = found;
    const bindings: Binding[] = [];
    for (const variable of rule.template.variables) {
      const fields = resolveFields(rule.method.input, variable.fieldPath);
      if (typeof fields === 'string') return { code: 'INVALID_ARGUMENT', message: fields };
      bindings.push({ fields, value: variableValue(segments, variable, this.#unescaping) });
    }
    for (const pair of query === -1 ? [] : target.slice(query + 1).split('&')) {
      const equals = pair.indexOf('=');
      const name = pair.slice(0, equals);
      if (equals <= 0 || this.#ignored.has(name)) continue;
      const fields = resolveFields(rule.method.input, name.split('.'));
      if (typeof fields !== 'string')
        bindings.push({ fields, value: unescapeText(pair.slice(equals + 1), 'all', this.#plusIsSpace) });
      else if (!this.#ignoreUnknown) return { code: 'INVALID_ARGUMENT', message: fields };
    }
    // What is inside of an HttpBody comes with the body alone.
    const own = rule.requestIsHttpBody
      ? bindings.filter(({ fields }) => !rule.bodyFields.every((field, i) => fields[i] === field))
      : bindings;
    return { rule, bindings: own };
  }
}

function registryOf(descriptors: Uint8Array): FileRegistry {
  let set;
  try {
    set = fromBinary(FileDescriptorSetSchema, descriptors);
  } catch {
    throw new ConfigError('transcoding_filter: Unable to parse proto descriptor', 'proto_descriptor');
  }
  for (const file of set.file) {
    for (const message of file.messageType) nameFields(message);
    for (const extension of file.extension) extension.jsonName ||= jsonNameOf(extension.name);
  }
  try {
    return createFileRegistry(set);
  } catch {
    throw new ConfigError('transcoding_filter: Unable to build proto descriptor pool', 'proto_descriptor');
  }
}

/** A descriptor set need not say what fields are called in JSON. */
function nameFields({ field, nestedType }: DescriptorProto): void {
  for (const each of field) each.jsonName ||= jsonNameOf(each.name);
  for (const nested of nestedType) nameFields(nested);
}

function jsonNameOf(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

function isHttpBody(message: string, fields: readonly DescField[]): boolean {
  return fields.length === 0 ? message === HTTP_BODY : fields.at(-1)!.message?.typeName === HTTP_BODY;
}

function unescapingOf(spec: UrlUnescapeSpec): Unescaping {
  if (spec === UrlUnescapeSpec.ALL_CHARACTERS) return 'all';
  return spec === UrlUnescapeSpec.ALL_CHARACTERS_EXCEPT_SLASH ? 'except-slash' : 'except-reserved';
}
