import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  TypeScriptFilterPerRouteSchema,
  TypeScriptFilterSchema,
  type TypeScriptFilter,
  type TypeScriptFilterPerRoute,
} from '../../api/generated/outrigger/filters/http/typescript/v3/typescript_pb.js';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { JsonValidator, readJsonConfig } from '../json-schema.ts';
import { resolveOwnPackage } from '../own-package.ts';
import { defineHttpFilter, type FilterForStream, type HttpFilterType } from './filter.ts';

/** A loaded module's filter, as the config names it. */
type UserFilterType = HttpFilterType<unknown, unknown>;

/**
 * outrigger.filters.http.typescript: a filter of the user's own, from a `.ts` or `.js` file. What it returns is the
 * filter of the stream itself, so being loaded this way costs nothing per request. Each registry makes its own type,
 * which remembers the modules that it prepared.
 */
export function createTypescriptFilter(): HttpFilterType<TypeScriptFilter, unknown, TypeScriptFilterPerRoute> {
  const loaded = new WeakMap<TypeScriptFilter, UserFilterType>();
  const loadedType = (config: TypeScriptFilter): UserFilterType => {
    const type = loaded.get(config);
    if (type === undefined) throw new ConfigError(`${config.path} has not been loaded`, 'path');
    return type;
  };
  return defineHttpFilter({
    name: 'outrigger.filters.http.typescript',
    config: protobufConfig(TypeScriptFilterSchema),
    routeConfig: protobufConfig(TypeScriptFilterPerRouteSchema),

    async prepare(config) {
      loaded.set(config, await importFilter(config));
    },

    create(config, context): FilterForStream<unknown> {
      const type = loadedType(config);
      const json = config.config ?? {};
      if (config.schema !== undefined) new JsonValidator(config.schema).check(json);
      const parsed = readJsonConfig(type.config, json);
      return inFile(config.path, () => type.create(parsed, context));
    },

    compileRoute(config, context, filterConfig): unknown {
      const type = loadedType(filterConfig);
      const parsed = readJsonConfig(type.routeConfig ?? type.config, config.config ?? {});
      if (type.compileRoute === undefined) return parsed;
      return inFile(filterConfig.path, () => type.compileRoute!(parsed, context, filterConfig.config ?? {}));
    },
  });
}

/** Runs code of the user's; what it throws becomes a ConfigError that names the file. */
function inFile<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw new ConfigError(`${path}: ${error instanceof Error ? error.message : String(error)}`, 'config');
  }
}

async function importFilter({ path, export: exportName }: TypeScriptFilter): Promise<UserFilterType> {
  const file = isAbsolute(path) ? path : resolve(path);
  let module: Readonly<Record<string, unknown>>;
  const unhook = resolveOwnPackage();
  try {
    module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new ConfigError(`${path}: ${error instanceof Error ? error.message : String(error)}`, 'path');
  } finally {
    unhook();
  }
  const name = exportName === '' ? 'filter' : exportName;
  const type = module[name];
  if (type === undefined) {
    const names = Object.keys(module).sort();
    const list = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
    throw new ConfigError(`${path} has no export '${name}'; ${list}`, 'export');
  }
  if (typeof type !== 'object' || type === null || !('create' in type) || typeof type.create !== 'function')
    throw new ConfigError(`${path}: export '${name}' is not what defineHttpFilter() returns`, 'export');
  return type as UserFilterType;
}
