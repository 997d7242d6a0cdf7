/** A service (or the gateway, which is a proxy only) and the proxy beside it. Ports before any offset. */
export interface Workload {
  /** The proxy's `node.id`, and the name of its folder in the mesh. */
  readonly name: string;
  /** `node.cluster`, and the service account: `spiffe://bookinfo/sa/ACCOUNT`. */
  readonly account: string;
  /** Under istiod each workload has a loopback address of its own. */
  readonly address: string;
  readonly adminPort: number;
  /** Where its proxy takes requests from others. */
  readonly inboundPort: number;
  /** Where the service itself listens; absent: there is none. */
  readonly appPort?: number;
  /** Environment variable of the service -> port of its sidecar that leads to another one. */
  readonly calls?: Readonly<Record<string, number>>;
}

export const GATEWAY_PORT = 9080;
export const XDS_PORT = 19000;
/** Of istiod: config, config over TLS, debugging, metrics. */
export const ISTIOD_PORTS = [19001, 19003, 19004, 19005] as const;
export const WORKLOADS: readonly Workload[] = [
  { name: 'gateway', account: 'gateway', address: '127.0.1.1', adminPort: 19002, inboundPort: GATEWAY_PORT },
  {
    name: 'productpage',
    account: 'productpage',
    address: '127.0.1.2',
    adminPort: 19012,
    inboundPort: 19011,
    appPort: 19010,
    calls: { DETAILS: 19013, REVIEWS: 19014, RATINGS: 19015 },
  },
  { name: 'details', account: 'details', address: '127.0.1.3', adminPort: 19022, inboundPort: 19021, appPort: 19020 },
  {
    name: 'reviews-v1',
    account: 'reviews',
    address: '127.0.1.4',
    adminPort: 19032,
    inboundPort: 19031,
    appPort: 19030,
  },
  {
    name: 'reviews-v2',
    account: 'reviews',
    address: '127.0.1.5',
    adminPort: 19042,
    inboundPort: 19041,
    appPort: 19040,
    calls: { RATINGS: 19043 },
  },
  {
    name: 'reviews-v3',
    account: 'reviews',
    address: '127.0.1.6',
    adminPort: 19052,
    inboundPort: 19051,
    appPort: 19050,
    calls: { RATINGS: 19053 },
  },
  { name: 'ratings', account: 'ratings', address: '127.0.1.7', adminPort: 19062, inboundPort: 19061, appPort: 19060 },
];

/** Moves every port of a YAML text. */
export function shiftPorts(yaml: string, offset: number): string {
  return yaml.replace(/(port_value: )(\d+)/g, (_, key: string, port: string) => key + String(Number(port) + offset));
}

/** Every port that the mesh needs, before any offset. */
export function allPorts(): readonly number[] {
  return WORKLOADS.flatMap(({ adminPort, inboundPort, appPort = XDS_PORT, calls = {} }) => [
    adminPort,
    inboundPort,
    appPort,
    ...Object.values(calls),
  ]);
}
