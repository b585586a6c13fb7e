package registry

import (
	"strings"

	"github.com/distribution/reference"

	"hks.dev/hks/agent"
)

// parseName reads an image reference as docker does; without a tag and a
// digest it has the tag latest.
func parseName(name string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(name)
	if err != nil {
		return nil, &agent.Error{
			Code:    agent.CodeInvalidImage,
			Message: "the image name " + quoted(name) + " is not valid: " + err.Error(),
			Fix:     "write it as [REGISTRY/]NAME[:TAG], in lower case, such as web:1 or ghcr.io/me/web:1",
			Details: map[string]any{"field": "image", "value": name},
			Cause:   err,
		}
	}
	return named, nil
}

// ownPath is where the own registry keeps the image of a name, and whether
// the name means the own registry alone. Docker Hub's prefix is left out, and
// that of the local machine, so web:1, localhost/web:1 and
// docker.io/library/web:1 are one image; other registries' images are kept
// below their host.
func ownPath(named reference.Named) (path string, onlyOwn bool) {
	host, path := reference.Domain(named), reference.Path(named)
	switch {
	case host == agent.RegistryHost:
		return path, true
	case host == "localhost":
		return path, true
	case host == "docker.io":
		return reference.FamiliarName(named), false
	}
	// A port's colon and upper case are not for repositories' names.
	return strings.ToLower(strings.ReplaceAll(host, ":", "_")) + "/" + path, false
}

// tagOf returns the tag; empty for a reference by digest.
func tagOf(named reference.Named) string {
	if tagged, ok := named.(reference.Tagged); ok {
		return tagged.Tag()
	}
	return ""
}

func quoted(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return `"` + strings.ToValidUTF8(name, "?") + `"`
}
