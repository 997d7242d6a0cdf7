/** What a builder makes of envoy.config.route.v3.RouteConfiguration. Filled in by builders/route.ts. */
export interface RouteConfigModel {
  readonly name: string;
}
