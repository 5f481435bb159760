# syntax=docker/dockerfile:1
FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script: native parts come prebuilt.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run --silent build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22-slim
ENV NODE_ENV=production \
    WAGGLE_HTTP__HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY config config
# Relative paths of the configuration (./data) are relative to the working directory when no file is named.
WORKDIR /var/lib/waggle
RUN chown node:node /var/lib/waggle
USER node
VOLUME /var/lib/waggle
# session.listenCurve, where it is set, has a port of its own.
EXPOSE 8080
# The admin listener stays on the container's own loopback unless configured otherwise (then it needs a token).
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.WAGGLE_ADMIN__PORT || 8081) + '/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "--no-parallel-scavenge", "/app/dist/main.js"]
CMD ["serve"]
