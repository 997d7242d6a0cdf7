import type { TypedExtensionConfig } from '../../api/generated/envoy/config/core/v3/extension_pb.js';
import type { HttpConnectionManager } from '../../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { CustomHeaderConfig } from '../../api/generated/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header_pb.js';
import type { XffConfig } from '../../api/generated/envoy/extensions/http/original_ip_detection/xff/v3/xff_pb.js';
import type { OriginalIpDetectionModel } from '../hcm-model.ts';
import type { Problems } from '../problem.ts';
import { unpackAs, type ListenerBuildContext } from './listener-context.ts';
import { typeNameOf } from '../../api/type-name.ts';

const XFF = 'envoy.extensions.http.original_ip_detection.xff.v3.XffConfig';
const CUSTOM_HEADER = 'envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig';
/** What a request is refused with where the configured status is no error. */
const FORBIDDEN = 403;

/** `original_ip_detection_extensions`; `problems` stands at the HCM. */
export function buildOriginalIpDetection(
  message: HttpConnectionManager,
  problems: Problems,
  context: ListenerBuildContext,
): OriginalIpDetectionModel[] {
  const extensions = message.originalIpDetectionExtensions;
  if (extensions.length > 0 && message.useRemoteAddress === true)
    problems.error('Original IP detection extensions and use_remote_address may not be mixed');
  if (extensions.length > 0 && message.xffNumTrustedHops > 0)
    problems.error('Original IP detection extensions and xff_num_trusted_hops may not be mixed');
  const list = problems.at('original_ip_detection_extensions');
  return extensions
    .map((extension, index) => buildExtension(extension, list.at(index), context))
    .filter((model) => model !== undefined);
}

function buildExtension(
  extension: TypedExtensionConfig,
  problems: Problems,
  context: ListenerBuildContext,
): OriginalIpDetectionModel | undefined {
  const config = extension.typedConfig;
  if (config !== undefined) {
    const xff = unpackAs<XffConfig>(context.types, config, XFF);
    if (xff !== undefined)
      return { kind: 'xff', numTrustedHops: xff.xffNumTrustedHops, trustedCidrs: undefined, skipXffAppend: true };
    const header = unpackAs<CustomHeaderConfig>(context.types, config, CUSTOM_HEADER);
    if (header !== undefined) {
      const status = header.rejectWithStatus?.code as number | undefined;
      return {
        kind: 'custom-header',
        headerName: header.headerName.toLowerCase(),
        rejectStatus: status !== undefined && status < 400 ? FORBIDDEN : status,
        allowExtensionToSetAddressAsTrusted: header.allowExtensionToSetAddressAsTrusted,
      };
    }
  }
  const type = config === undefined ? '' : ` (${typeNameOf(config.typeUrl)})`;
  problems.error(`unsupported: the original IP detection '${extension.name}'${type} is not implemented`);
  return undefined;
}
