package function

import (
	"bytes"
	"fmt"
	"path"
	"text/template"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

// trust gives a step the certificates of the machine's network, where it has some.
const trust = `RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt `

// recipes make the archive of a function: its source with what it needs, each
// checked for its syntax as far as the language can without running it.
var recipes = map[string]*template.Template{
	"nodejs": recipe(`FROM ` + agent.RegistryHost + `/hks/node:24 AS build
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /src
COPY . .
{{if .Lock}}` + trust + `--mount=type=cache,target=/root/.npm,id=hks-npm ["npm", "ci", "--omit=dev", "--ignore-scripts"]
{{else if .Package}}` + trust + `--mount=type=cache,target=/root/.npm,id=hks-npm ["npm", "install", "--omit=dev", "--ignore-scripts", "--no-package-lock"]
{{end}}{{range .Sources}}RUN ["node", "--check", {{.}}]
{{end}}FROM scratch
COPY --from=build /src /
`),
	"python": recipe(`FROM ` + agent.RegistryHost + `/hks/python:3.13 AS build
WORKDIR /src
COPY . .
{{if .Requirements}}` + trust + `--mount=type=cache,target=/root/.cache/pip,id=hks-pip ["python", "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target", "/src", "--requirement", "requirements.txt"]
{{end}}RUN ["python", "-m", "compileall", "-q", "."]
FROM scratch
COPY --from=build /src /
`),
	"go": recipe(`FROM ` + agent.RegistryHost + `/hks/go:1.26 AS build
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=mod" GOMODCACHE=/cache/modules GOCACHE=/cache/build
WORKDIR /src
COPY . .
` + trust + `--mount=type=cache,target=/cache,id=hks-go ["go", "get", "github.com/GoogleCloudPlatform/functions-framework-go@v1.9.2"]
` + trust + `--mount=type=cache,target=/cache,id=hks-go ["go", "build", "-ldflags=-s -w", "-o", "/out/function", "./hks_function_main"]
FROM scratch
COPY --from=build /out/function /function
`),
}

func recipe(text string) *template.Template { return template.Must(template.New("recipe").Parse(text)) }

// prepare returns the recipe and the files that the builder gets.
func prepare(d agent.FunctionDeploy) (dockerfile []byte, files map[string][]byte, err error) {
	files = make(map[string][]byte, len(d.Files)+1)
	var sources []string
	for name, content := range d.Files {
		files[name] = content
		if ext := path.Ext(name); ext == ".js" || ext == ".mjs" || ext == ".cjs" {
			sources = append(sources, fmt.Sprintf("%q", name))
		}
	}
	if d.Spec.Runtime == "go" {
		main, err := manifest.GoMain(files["go.mod"])
		if err != nil {
			return nil, nil, err
		}
		files[manifest.GoMainFile] = main
	}
	var out bytes.Buffer
	_, lock := files["package-lock.json"]
	_, manifest := files["package.json"]
	_, requirements := files["requirements.txt"]
	err = recipes[d.Spec.Runtime].Execute(&out, map[string]any{"Lock": lock && manifest, "Package": manifest, "Requirements": requirements, "Sources": sources})
	if err != nil {
		return nil, nil, fmt.Errorf("writing the recipe: %w", err)
	}
	return out.Bytes(), files, nil
}
