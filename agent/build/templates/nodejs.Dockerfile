{{template "node-source" .}}
{{- if .BuildScript}}
FROM source AS build
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Trust}}{{argv (.Env "NODE_ENV=production") .PackageManager "run" .BuildScript}}
{{else}}
FROM source AS build
{{end}}
FROM dependencies AS production
{{- if eq .PackageManager "npm"}}
RUN ["npm", "prune", "--omit=dev", "--ignore-scripts"]
{{- else if eq .PackageManager "pnpm"}}
RUN {{.Cached "pnpm"}}{{argv "env" "CI=true" "npm_config_store_dir=/cache" "pnpm" "prune" "--prod" "--ignore-scripts"}}
{{- else}}
RUN {{.Cached "yarn"}}{{.Trust}}{{argv (.Env "YARN_CACHE_FOLDER=/cache") "yarn" "install" "--production" "--ignore-scripts" "--prefer-offline" "--non-interactive" .Install}}
{{- end}}

FROM {{.Images.Node}} AS runtime
WORKDIR /app
ENV NODE_ENV=production{{if .Port}} PORT={{.Port}}
EXPOSE {{.Port}}{{end}}
# As a pattern, for an application without packages has no such folder.
COPY --from=production /app/node_module[s] /app/node_modules/
COPY --from=build --chown=10001:10001 --exclude=node_modules --exclude=.npmrc --exclude=.yarnrc* /app /app
USER 10001:10001
{{- if .Init}}
ENTRYPOINT ["tini", "--"]
{{- end}}
CMD {{argv .Start}}
