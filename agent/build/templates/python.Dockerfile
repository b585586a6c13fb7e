FROM {{.Images.Python}} AS dependencies
WORKDIR /app
RUN ["python", "-m", "venv", "/venv"]
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV=/venv
{{- if eq .Requirements "pyproject.toml"}}
COPY . .
RUN {{.Cached "pip"}}{{.Trust}}{{argv (.Env "PIP_CACHE_DIR=/cache") "pip" "install" "."}}
{{- else if .Requirements}}
COPY {{argv .Requirements .Requirements}}
RUN {{.Cached "pip"}}{{.Trust}}{{argv (.Env "PIP_CACHE_DIR=/cache") "pip" "install" "--requirement" .Requirements}}
{{- end}}

FROM dependencies AS source
COPY . .
{{if .TestCommand}}
FROM source AS test
{{- if .FetchPytest}}
RUN {{.Cached "pip"}}{{.Trust}}{{argv (.Env "PIP_CACHE_DIR=/cache") "pip" "install" "pytest"}}
{{- end}}
{{range .Args}}ARG {{.}}
{{end -}}
RUN {{.Kept}}{{.Secret}}{{argv .TestCommand}}
{{end}}
FROM {{.Images.Python}} AS runtime
WORKDIR /app
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV=/venv PYTHONUNBUFFERED=1{{if .Port}} PORT={{.Port}}
EXPOSE {{.Port}}{{end}}
COPY --from=dependencies /venv /venv
COPY --chown=10001:10001 . .
USER 10001:10001
{{- if .Init}}
ENTRYPOINT ["tini", "--"]
{{- end}}
CMD {{argv .Start}}
