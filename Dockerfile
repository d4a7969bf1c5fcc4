# Sallyport in a container. docs/docker.md says how to run it, and what was tried.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# The image has Node itself: what is optional would bring a second one.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-bookworm-slim
RUN groupadd --gid 4500 sallyport \
 && useradd --uid 4500 --gid sallyport --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sallyport \
 && install -d -o sallyport -g sallyport -m 0750 /run/sallyport \
 && install -d -o root -g sallyport -m 0750 /etc/swanctl \
 && printf '%s\n' \
    'charon { plugins { vici { socket = unix:///run/sallyport/charon.vici } } }' \
    'swanctl { socket = unix:///run/sallyport/charon.vici }' >/etc/strongswan.conf
WORKDIR /opt/sallyport
COPY package.json LICENSE ./
COPY --from=dependencies /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY native/linux-x64.node native/linux-arm64.node native/
ENV NODE_ENV=production
EXPOSE 500/udp 4500/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "dist/cli/sallyport.js", "version", "--daemon", "--uri", "unix:///run/sallyport/charon.vici"]
# Root only until here: the daemon keeps two capabilities and can get no others.
ENTRYPOINT ["setpriv", "--reuid=sallyport", "--regid=sallyport", "--clear-groups", "--no-new-privs", \
  "--bounding-set=-all,+net_admin,+net_bind_service", "--inh-caps=-all,+net_admin,+net_bind_service", \
  "--ambient-caps=-all,+net_admin,+net_bind_service", "node", "dist/main.js"]
