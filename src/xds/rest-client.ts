import { Client, type buildConnector } from 'undici';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { ControlPlaneTransport } from './control-plane-transport.ts';
import { dial } from './dial.ts';
import { EndpointRotation, type LookupAll } from './endpoint-rotation.ts';

export interface RestResponse {
  readonly status: number;
  readonly body: Buffer;
}

/** POSTs to a cluster, one request after the other. */
export interface RestClient {
  /** Rejects when there is no answer in time. */
  post(path: string, body: string, timeoutMs: number, signal: AbortSignal): Promise<RestResponse>;
  close(): void;
}

/** A RestClient on undici. */
export function undiciRestClient(
  cluster: BuiltCluster,
  transport: ControlPlaneTransport | undefined,
  lookup: LookupAll,
): RestClient {
  const rotation = new EndpointRotation(cluster, lookup);
  const { name, connectTimeoutMs } = cluster.model;
  const dialled = async (callback: buildConnector.Callback): Promise<void> => {
    try {
      callback(null, await dial(rotation, transport, connectTimeoutMs));
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null);
    }
  };
  const connect = (_options: buildConnector.Options, callback: buildConnector.Callback): void => {
    void dialled(callback);
  };
  const client = new Client('http://localhost', { connect, pipelining: 1 });
  return {
    post: async (path, body, timeoutMs, signal) => {
      const response = await client.request({
        method: 'POST',
        path,
        body,
        headers: { host: name, 'content-type': 'application/json' },
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      return { status: response.statusCode, body: Buffer.from(await response.body.arrayBuffer()) };
    },
    close: () => void client.destroy(),
  };
}
