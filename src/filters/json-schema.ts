import { Ajv } from 'ajv';
import { ConfigError, type ConfigType, type JsonSchema } from './config-type.ts';

/** Checks JSON against a schema (ajv), filling in the schema's defaults. */
export class JsonValidator {
  readonly #validate: ReturnType<Ajv['compile']>;

  /** Throws ConfigError if `schema` isn't a JSON Schema. */
  constructor(schema: JsonSchema) {
    try {
      this.#validate = new Ajv({ allErrors: true, useDefaults: true, strict: false }).compile(schema);
    } catch (error) {
      throw new ConfigError(`invalid JSON Schema: ${error instanceof Error ? error.message : String(error)}`, 'schema');
    }
  }

  /** A checked copy of `json`; throws a ConfigError that names every violation. */
  check(json: unknown): unknown {
    const copy: unknown = structuredClone(json);
    if (this.#validate(copy)) return copy;
    const texts = (this.#validate.errors ?? []).map(({ instancePath, message, params }) => {
      const extra = 'additionalProperty' in params ? ` '${String(params['additionalProperty'])}'` : '';
      return `${fieldPath(instancePath)}${message ?? 'is invalid'}${extra}`;
    });
    throw new ConfigError(texts.join('; '), 'config');
  }
}

/** `/routes/0/name` -> `routes[0].name `; '' for the whole. */
function fieldPath(pointer: string): string {
  if (pointer === '') return '';
  const path = pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
    .join('');
  return `${path.replace(/^\./, '')} `;
}

/** Reads JSON as the config of `type`. */
export function readJsonConfig<Config>(type: ConfigType<Config>, json: unknown): Config {
  return (type.jsonSchema === undefined ? json : new JsonValidator(type.jsonSchema).check(json)) as Config;
}
