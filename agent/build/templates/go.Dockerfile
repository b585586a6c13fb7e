FROM {{.Images.Go}} AS dependencies
WORKDIR /src
# A newer Go that go.mod asks for is fetched like a module.
# Tests and the build have the same flags, so that packages are compiled once.
ENV CGO_ENABLED=0 GOTOOLCHAIN=auto GOFLAGS="-trimpath -buildvcs=false -tags=timetzdata" GOMODCACHE=/cache/modules GOCACHE=/cache/build
COPY ["go.mod", "go.sum*", "./"]
RUN {{.Cached "go"}}{{.Trust}}{{argv .Env "go" "mod" "download"}}

FROM dependencies AS source
COPY . .
{{if .TestCommand}}
FROM source AS test
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Kept}}{{.Cached "go"}}{{.Trust}}{{argv .Env .TestCommand}}
{{end}}
FROM source AS build
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Cached "go"}}{{.Trust}}{{argv .Env "go" "build" "-ldflags=-s -w" "-o" "/out/app" .Main}}

FROM {{.Images.Base}} AS runtime
WORKDIR /app
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/app /usr/local/bin/app
{{- if .Port}}
ENV PORT={{.Port}}
EXPOSE {{.Port}}
{{- end}}
USER 10001:10001
CMD {{argv .Start}}
