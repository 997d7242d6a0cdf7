import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { LayeredRuntime, RuntimeLayer } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { jsonFromNode } from '../api/config-node.ts';
import type { Problems } from './problem.ts';
import type { RuntimeValue, RuntimeValues } from './runtime.ts';
import { YamlFastReader } from './yaml-fast-reader.ts';

interface Layer {
  readonly name: string;
  readonly kind: 'static' | 'admin' | 'rtds';
  values: Readonly<Record<string, RuntimeValue>>;
  readonly discovery: RuntimeDiscovery | undefined;
}

/** Where the values of a layer come from (RTDS). */
export interface RuntimeDiscovery {
  /** Of the layer. */
  readonly layer: string;
  /** Of the resource. */
  readonly name: string;
  readonly source: ConfigSource;
}

/**
 * The runtime layers, as the main thread holds them: later ones win, the admin layer takes overrides while the proxy
 * runs. What a layer cannot be (duplicate names, a second admin layer, a list as a value) is reported to `problems`.
 */
export class RuntimeLayers {
  readonly #layers: readonly Layer[];

  /** `problems` stands at `layered_runtime`. Without a config there are no layers, and no overrides. */
  constructor(config: LayeredRuntime | undefined, problems: Problems) {
    const layers: Layer[] = [];
    for (const [index, message] of (config?.layers ?? []).entries()) {
      const at = problems.at('layers').at(index);
      if (layers.some((layer) => layer.name === message.name))
        at.at('name').error(`duplicate layer name: ${message.name}`);
      const layer = buildLayer(message, at);
      if (layer?.kind === 'admin' && layers.some((other) => other.kind === 'admin'))
        at.error('too many admin layers, at most one may be specified');
      if (layer !== undefined) layers.push(layer);
    }
    this.#layers = layers;
  }

  /** The layers' names, lowest first. */
  get names(): readonly string[] {
    return this.#layers.map((layer) => layer.name);
  }

  /** The layers that are discovered, lowest first. */
  get discovered(): readonly RuntimeDiscovery[] {
    return this.#layers.flatMap(({ discovery }) => (discovery === undefined ? [] : [discovery]));
  }

  /** Replaces the values of a discovered layer; what can't be one is reported to `problems`, and nothing changes then. */
  setDiscovered(layer: string, fields: JsonObject, problems: Problems): void {
    const values: Record<string, RuntimeValue> = {};
    flatten(fields, '', values, problems);
    const found = this.#layers.find(({ name }) => name === layer);
    if (found !== undefined && !problems.hasErrors) found.values = values;
  }

  /** Takes over the values of discovered layers that another configuration had too: they may not come again. */
  adopt(former: RuntimeLayers): void {
    for (const layer of this.#layers) {
      const held = former.#layers.find(({ name }) => name === layer.name);
      if (layer.kind === 'rtds' && held?.kind === 'rtds') layer.values = held.values;
    }
  }

  /** The winning value of every key; what workers get. */
  merged(): RuntimeValues {
    const merged: Record<string, RuntimeValue> = {};
    for (const layer of this.#layers) Object.assign(merged, layer.values);
    return merged;
  }

  /** For the /runtime page: each layer's value of a key, in the order of `names`. */
  valuesOf(key: string): readonly (RuntimeValue | undefined)[] {
    return this.#layers.map((layer) => (Object.hasOwn(layer.values, key) ? layer.values[key] : undefined));
  }

  get hasAdminLayer(): boolean {
    return this.#layers.some((layer) => layer.kind === 'admin');
  }

  /** `runtime.admin_overrides_active` */
  get hasOverrides(): boolean {
    return this.#layers.some((layer) => layer.kind === 'admin' && Object.keys(layer.values).length > 0);
  }

  /**
   * POST /runtime_modify: texts are read as YAML scalars (or objects, for fractions); an empty one removes the
   * override. False if no layer takes overrides.
   */
  modify(overrides: Readonly<Record<string, string>>): boolean {
    const layer = this.#layers.find((candidate) => candidate.kind === 'admin');
    if (layer === undefined) return false;
    const values = { ...layer.values };
    for (const [key, text] of Object.entries(overrides)) {
      delete values[key];
      if (text !== '') values[key] = readOverride(text);
    }
    layer.values = values;
    return true;
  }
}

function buildLayer(message: RuntimeLayer, problems: Problems): Layer | undefined {
  const { name, layerSpecifier } = message;
  switch (layerSpecifier.case) {
    case 'staticLayer': {
      const values: Record<string, RuntimeValue> = {};
      flatten(layerSpecifier.value, '', values, problems.at('static_layer'));
      return { name, kind: 'static', values, discovery: undefined };
    }
    case 'adminLayer':
      return { name, kind: 'admin', values: {}, discovery: undefined };
    case 'diskLayer':
      problems.unsupported('disk_layer');
      return { name, kind: 'static', values: {}, discovery: undefined };
    case 'rtdsLayer': {
      const { name: resource, rtdsConfig: source } = layerSpecifier.value;
      if (source === undefined) problems.at('rtds_layer').at('rtds_config').error('value is required');
      const discovery = source && { layer: name, name: resource, source };
      return { name, kind: 'rtds', values: {}, discovery };
    }
    default:
      return undefined;
  }
}

/** Nested objects become keys joined by dots, except for those that are fractions. */
function flatten(object: JsonObject, prefix: string, into: Record<string, RuntimeValue>, problems: Problems): void {
  for (const [key, value] of Object.entries(object)) {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    if (value === null || Array.isArray(value)) problems.at(key).error(`invalid runtime entry value for ${name}`);
    else if (typeof value !== 'object') into[name] = value;
    else if (Object.keys(value).length === 0 || 'numerator' in value || 'denominator' in value) {
      const fraction = readFraction(value);
      into[name] = fraction ?? JSON.stringify(value);
    } else flatten(value, name, into, problems.at(key));
  }
}

const DENOMINATORS: ReadonlyMap<JsonValue, number> = new Map<JsonValue, number>([
  ['HUNDRED', 100],
  ['TEN_THOUSAND', 10_000],
  ['MILLION', 1_000_000],
]);

/** {numerator, denominator}; anything else in it makes it no fraction. */
function readFraction(object: JsonObject): RuntimeValue | undefined {
  let numerator = 0;
  let denominator = 100;
  for (const [key, value] of Object.entries(object)) {
    const named = DENOMINATORS.get(value!);
    if (key === 'numerator') numerator = typeof value === 'number' ? value : 0;
    else if (key === 'denominator' && named !== undefined) denominator = named;
    else return undefined;
  }
  return { numerator, denominator };
}

function readOverride(text: string): RuntimeValue {
  const root = new YamlFastReader(`value: ${text}\n`).read();
  const value = root?.kind === 'map' && root.entries.length === 1 ? jsonFromNode(root.entries[0]!.value, true) : text;
  if (value === undefined || value === null || Array.isArray(value)) return text;
  return typeof value === 'object' ? (readFraction(value) ?? text) : value;
}
