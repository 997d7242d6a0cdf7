# syntax=docker/dockerfile:1
FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY . .
# The image brings its own Node.js: the pinned one of tools/node stays out.
RUN npm ci --no-audit --no-fund --workspaces=false --include-workspace-root \
 && node tools/build.mjs \
 && npm prune --omit=dev --no-audit --no-fund --ignore-scripts

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="outrigger" \
      org.opencontainers.image.description="An Envoy-compatible L7 proxy on plain Node.js" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/outrigger
COPY --from=build /build/package.json ./
COPY --from=build /build/bin ./bin
COPY --from=build /build/dist ./dist
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/examples/quickstart.yaml /etc/envoy/envoy.yaml
# Whoever starts Envoy by its usual path starts this.
RUN ln -s /opt/outrigger/bin/outrigger /usr/local/bin/outrigger \
 && ln -s /opt/outrigger/bin/outrigger /usr/local/bin/envoy \
 && groupadd --gid 1337 outrigger \
 && useradd --uid 1337 --gid 1337 --no-create-home outrigger
USER 1337:1337
EXPOSE 10000 9901
# The launcher execs: SIGTERM reaches the proxy itself, which drains and exits 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/outrigger"]
CMD ["-c", "/etc/envoy/envoy.yaml"]
