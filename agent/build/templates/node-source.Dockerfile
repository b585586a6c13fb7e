{{define "node-source" -}}
FROM {{.Images.Node}} AS dependencies
WORKDIR /app
{{- if .FetchPnpm}}
RUN {{.Trust}}{{argv .Env "npm" "install" "--global" "pnpm@10"}}
{{- end}}
COPY ["package.json", {{if eq .PackageManager "npm"}}"package-lock.json*", "npm-shrinkwrap.json*"{{else if eq .PackageManager "pnpm"}}"pnpm-lock.yaml*", "pnpm-workspace.yaml*"{{else}}"yarn.lock*", ".yarnrc*"{{end}}, ".npmrc*", "./"]
{{- if eq .PackageManager "npm"}}
RUN {{.Cached "npm"}}{{.Trust}}{{argv (.Env "NODE_ENV=development" "npm_config_cache=/cache") "npm" (.Install) "--no-audit" "--no-fund"}}
{{- else if eq .PackageManager "pnpm"}}
RUN {{.Cached "pnpm"}}{{.Trust}}{{argv (.Env "NODE_ENV=development" "CI=true") "pnpm" "install" "--store-dir=/cache" "--package-import-method=copy" (.Install)}}
{{- else}}
RUN {{.Cached "yarn"}}{{.Trust}}{{argv (.Env "NODE_ENV=development" "YARN_CACHE_FOLDER=/cache") "yarn" "install" "--non-interactive" (.Install)}}
{{- end}}

FROM dependencies AS source
COPY . .
{{if .TestCommand}}
FROM source AS test
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Kept}}{{.Trust}}{{argv (.Env "NODE_ENV=test" "CI=true") .TestCommand}}
{{end -}}
{{end -}}
