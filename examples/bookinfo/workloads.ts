/** A service (or the gateway, which is a proxy only) and the proxy beside it. Ports before any offset. */
export interface Workload {
  /** The proxy's `node.id`, and the name of its folder in the mesh. */
  readonly name: string;
  /** `node.cluster`, and the service account: `spiffe://bookinfo/sa/ACCOUNT`. */
  readonly account: string;
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
export const WORKLOADS: readonly Workload[] = [
  { name: 'gateway', account: 'gateway', adminPort: 19002, inboundPort: GATEWAY_PORT },
  {
    name: 'productpage',
    account: 'productpage',
    adminPort: 19012,
    inboundPort: 19011,
    appPort: 19010,
    calls: { DETAILS: 19013, REVIEWS: 19014, RATINGS: 19015 },
  },
  { name: 'details', account: 'details', adminPort: 19022, inboundPort: 19021, appPort: 19020 },
  { name: 'reviews-v1', account: 'reviews', adminPort: 19032, inboundPort: 19031, appPort: 19030 },
  {
    name: 'reviews-v2',
    account: 'reviews',
    adminPort: 19042,
    inboundPort: 19041,
    appPort: 19040,
    calls: { RATINGS: 19043 },
  },
  {
    name: 'reviews-v3',
    account: 'reviews',
    adminPort: 19052,
    inboundPort: 19051,
    appPort: 19050,
    calls: { RATINGS: 19053 },
  },
  { name: 'ratings', account: 'ratings', adminPort: 19062, inboundPort: 19061, appPort: 19060 },
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
