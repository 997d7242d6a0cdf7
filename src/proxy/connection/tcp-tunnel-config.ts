import type { TcpTunnelingModel } from '../../config/tcp-proxy-model.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { FormatContext, TextFormatter } from '../../telemetry/access-log/access-log.ts';
import { compileHeaderValue } from '../../telemetry/access-log/format.ts';
import { HeaderMap } from '../http/headers.ts';
import { HeaderMutation } from '../router/header-mutation.ts';

const NO_INLINE_NAMES: ReadonlySet<string> = new Set();

/** How a tunnel's request is made. */
export class TunnelConfig {
  readonly model: TcpTunnelingModel;
  readonly #hostname: TextFormatter;
  readonly #mutation: HeaderMutation | undefined;

  constructor(model: TcpTunnelingModel) {
    this.model = model;
    this.#hostname = compileHeaderValue(model.hostname);
    this.#mutation = HeaderMutation.of({ add: model.headersToAdd, remove: [] }, NO_INLINE_NAMES);
  }

  /** The request of a tunnel for the connection that `info` is of. `scheme`: of the upstream connection. */
  request(info: StreamInfo, scheme: string): HeaderMap {
    const headers = new HeaderMap();
    const context: FormatContext = {
      info,
      requestHeaders: headers,
      responseHeaders: undefined,
      responseTrailers: undefined,
      localReplyBody: '',
      accessLogType: 'NotSet',
    };
    headers.method = this.model.usePost ? 'POST' : 'CONNECT';
    headers.authority = this.#hostname.format(context);
    if (this.model.usePost) {
      headers.path = this.model.postPath;
      headers.scheme = scheme;
    }
    this.#mutation?.apply(headers, context);
    return headers;
  }

  /** Whether a response opens the tunnel. */
  accepts(status: number): boolean {
    return this.model.usePost ? status === 200 : status >= 200 && status < 300;
  }
}
