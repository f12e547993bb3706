# An image of one service:
#
#   docker build --build-arg SERVICE=controller --build-arg VERSION=0.1.0 --tag kubervisor/controller:0.1.0 .
#
# SERVICE: controller, breaker, activator, detector, or release, which lets every pod go before an uninstall, or sandbox, the demo of
# docker-compose.yml. BASE: any image with
# Node 24 and npm. Nothing in here needs BuildKit. Health is the business of the probes of whatever runs it.
ARG BASE=node:24-slim

# The manifests alone: by their content the layer of the dependencies is found again, whatever else changed.
FROM ${BASE} AS manifests
WORKDIR /source
COPY . .
RUN find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete && find . -type d -empty -delete

FROM ${BASE} AS build
WORKDIR /source
COPY --from=manifests /source .
# Nobody's scripts run: the bundler needs none.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
ARG SERVICE
# By their ending they are modules, without a manifest beside them; threads of their own have files of their own.
RUN folder="services/${SERVICE:?name it: --build-arg SERVICE=controller}"; \
    if [ ! -e "$folder/main.ts" ]; then folder="apps/$SERVICE"; fi; \
    node --conditions=source scripts/bundle.ts "$folder" && mkdir /app && \
    for file in "$folder"/dist/*.js; do cp "$file" "/app/$(basename "$file" .js).mjs"; done

FROM ${BASE}
ARG SERVICE
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kubervisor ${SERVICE}" \
      org.opencontainers.image.description="Takes outlier pods out of a Kubernetes Service's traffic, never below a floor, and brings them back" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
COPY --from=build /app /app
WORKDIR /app
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "/app/main.mjs"]
