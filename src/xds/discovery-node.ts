import { clone, create, type JsonObject } from '@bufbuild/protobuf';
import {
  BuildVersionSchema,
  ExtensionSchema,
  NodeSchema,
  type Node,
} from '../api/generated/envoy/config/core/v3/base_pb.js';

/** What control planes are told of the program. */
export interface UserAgent {
  /** `1.2.3`: the version of Envoy that we behave as. */
  readonly version: string;
  readonly metadata: JsonObject;
  readonly extensions: readonly {
    readonly name: string;
    readonly category: string;
    readonly typeUrls: readonly string[];
  }[];
}

const SEND_ALL_CLUSTERS = 'envoy.lrs.supports_send_all_clusters';
/** As Envoy has them; control planes look for these names. */
const CLIENT_FEATURES = ['envoy.lb.does_not_support_overprovisioning', SEND_ALL_CLUSTERS];
/** Those that a load-reporting server is told of. */
export const LOAD_REPORT_FEATURES: readonly string[] = [SEND_ALL_CLUSTERS];

/** The bootstrap's node, with what Envoy adds to it before control planes get to see it. */
export function discoveryNode(
  node: Node | undefined,
  { version, metadata, extensions }: UserAgent,
  features: readonly string[] = CLIENT_FEATURES,
): Node {
  const [majorNumber = 0, minorNumber = 0, patch = 0] = version.split('.').map(Number);
  const made = node === undefined ? create(NodeSchema) : clone(NodeSchema, node);
  made.userAgentName = 'envoy';
  made.userAgentVersionType = {
    case: 'userAgentBuildVersion',
    value: create(BuildVersionSchema, { version: { majorNumber, minorNumber, patch }, metadata }),
  };
  made.extensions = extensions.map((extension) =>
    create(ExtensionSchema, {
      name: extension.name,
      category: extension.category,
      typeUrls: [...extension.typeUrls],
    }),
  );
  for (const feature of features) if (!made.clientFeatures.includes(feature)) made.clientFeatures.push(feature);
  return made;
}
