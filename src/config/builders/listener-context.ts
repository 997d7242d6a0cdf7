import { toBinary, type Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { TypedConfigModel } from '../common-model.ts';
import type { RouteBuildContext } from './route-context.ts';
import type { TransportSocketContext } from './transport-socket.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** What the build of a listener depends on besides its message. */
export interface ListenerBuildContext extends TransportSocketContext {
  /** Whether a cluster of this name is configured. Absent: unknown, so nothing is checked. */
  readonly clusterExists?: RouteBuildContext['clusterExists'];
  /** Whether there is an HTTP filter whose config is of this type. */
  isKnownHttpFilter(typeName: string): boolean;
  /** Whether there is a listener filter whose config is of this type. Absent: there are none. */
  isKnownListenerFilter?(typeName: string): boolean;
  /** The network filter whose config is of this type, of those that come from the registry. Absent: there are none. */
  findNetworkFilter?(typeName: string): { readonly name: string; readonly isTerminal: boolean } | undefined;
}

/** The message in `any`, if it is of the type `typeName` (TypedStruct included). */
export function unpackAs<Shape extends Message>(types: TypeRegistry, any: Any, typeName: string): Shape | undefined {
  const unpacked = unpackAny(types, any);
  return unpacked.typeName === typeName ? (unpacked.message as Shape | undefined) : undefined;
}

/** An extension's config for the data plane; what came as a TypedStruct is handed on as the message it stands for. */
export function typedConfig(types: TypeRegistry, name: string, any: Any): TypedConfigModel {
  const { typeName, desc, message } = unpackAny(types, any);
  if (desc === undefined || message === undefined || typeName === typeNameOf(any.typeUrl))
    return { name, typeName, value: any.value };
  return { name, typeName, value: toBinary(desc, message) };
}
