{{template "node-source" .}}
FROM source AS build
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Trust}}{{argv (.Env "NODE_ENV=production") .PackageManager "run" .BuildScript}}

FROM {{.Images.Static}} AS runtime
{{template "server" .}}
COPY --from=build {{argv (.Built) "/srv/site/"}}
