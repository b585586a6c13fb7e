package k3s

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// keyGrammar is what a key of k3s's settings file looks like; a + at the end
// appends to what earlier files said.
var keyGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\+?$`)

// forced are the keys that are not to be changed by k3s.extra, and why. The
// short forms are aliases that k3s knows.
var forced = map[string]string{
	"data-dir":              "it is where hks finds k3s's data",
	"d":                     "it is where hks finds k3s's data",
	"write-kubeconfig":      "it is where hks finds the cluster's credential",
	"o":                     "it is where hks finds the cluster's credential",
	"write-kubeconfig-mode": "only root may read the cluster's credential",
	"secrets-encryption":    "secrets are always encrypted at rest",
	"node-name":             "it is set by k3s.nodeName",
	"config":                "k3s ignores it where it matters",
	"c":                     "k3s ignores it where it matters",
	"log":                   "with a log file of its own k3s calls itself ready too early",
	"l":                     "with a log file of its own k3s calls itself ready too early",
}

// maxPIDs bounds the processes and threads of each pod: a fork bomb fills its
// own pod, and not the machine. k3s.extra may say another number.
const maxPIDs = "pod-max-pids=1024"

// settings is the content of k3s's settings file: hks's own, and k3s.extra
// over them. Lists that hks fills are appended to.
func (c Config) settings() ([]byte, error) {
	if c.Join != nil {
		return c.joinSettings()
	}
	out := map[string]any{
		"data-dir":              c.DataDir,
		"write-kubeconfig":      c.Kubeconfig,
		"write-kubeconfig-mode": "0600",
		"secrets-encryption":    true,
		"node-name":             c.NodeName,
		"disable":               []any{"traefik", "servicelb"},
		"node-label":            []any{agent.LabelNodePool + "=" + agent.PoolShared},
		"kubelet-arg":           []any{maxPIDs},
	}
	if len(c.TLSSANs) > 0 {
		sans := slices.Compact(slices.Sorted(slices.Values(c.TLSSANs)))
		list := make([]any, len(sans))
		for i, san := range sans {
			list[i] = san
		}
		out["tls-san"] = list
	}
	for _, key := range slices.Sorted(maps.Keys(c.Extra)) {
		name := strings.TrimSuffix(key, "+")
		if !keyGrammar.MatchString(key) {
			return nil, extraError(key, "it is not a key of k3s's settings", "write k3s's option without its dashes, such as kubelet-arg")
		}
		if why, ok := forced[name]; ok {
			return nil, extraError(key, why, fmt.Sprintf("remove %s from k3s.extra in config.yaml", key))
		}
		if own, ok := out[name].([]any); ok {
			merged, err := appendNew(own, c.Extra[key])
			if err != nil {
				return nil, extraError(key, err.Error(), "give a list of texts")
			}
			out[name] = merged
			continue
		}
		out[key] = c.Extra[key]
	}
	data, err := yaml.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing k3s's settings: %w", err)
	}
	return append([]byte("# Written by hks at each start; change k3s.extra in hks's own config.yaml instead.\n"), data...), nil
}

// appendNew adds a text or a list of texts to a list, each once.
func appendNew(list []any, more any) ([]any, error) {
	items, ok := more.([]any)
	if !ok {
		items = []any{more}
	}
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a text", item)
		}
		if !slices.Contains(list, item) {
			list = append(list, text)
		}
	}
	return list, nil
}

func extraError(key, why, fix string) *agent.Error {
	return &agent.Error{
		Code:    agent.CodeInvalid,
		Message: fmt.Sprintf("k3s.extra can't set %q: %s", key, why),
		Fix:     fix,
		Details: map[string]any{"field": "k3s.extra." + key},
	}
}

// Command is how k3s is run. k3s reads where its data is before it reads a
// file named by --config, so both places are given by the environment.
func (c Config) Command() (argv, env []string) {
	if c.Join != nil {
		return []string{c.Binary, "agent"}, c.environment()
	}
	return []string{c.Binary, "server"}, c.environment()
}

// inherited are the variables that k3s gets from this process.
var inherited = []string{
	"PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"CONTAINERD_HTTP_PROXY", "CONTAINERD_HTTPS_PROXY", "CONTAINERD_NO_PROXY",
}

func (c Config) environment() []string {
	env := []string{"K3S_CONFIG_FILE=" + c.ConfigFile, "K3S_DATA_DIR=" + c.DataDir}
	path := false
	for _, variable := range c.Environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(inherited, name) {
			env = append(env, variable)
			path = path || name == "PATH"
		}
	}
	if !path {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return env
}
