package k3s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Join makes the engine a further node of a cluster that runs elsewhere.
type Join struct {
	Server string   `json:"server"`           // https://HOST:6443 of the cluster
	Token  string   `json:"token"`            // by which the node joins; needed until it has joined
	Labels []string `json:"labels,omitempty"` // KEY=VALUE of the node
	Taints []string `json:"taints,omitempty"` // KEY=VALUE:EFFECT, counted at the first registration
}

// agentKeys are what k3s's agent knows of its settings file: a key that only
// the server knows ends an agent.
var agentKeys = []string{
	"kubelet-arg", "kube-proxy-arg", "node-ip", "node-external-ip", "node-label", "node-taint", "flannel-iface", "flannel-conf",
	"resolv-conf", "snapshotter", "protect-kernel-defaults", "selinux", "lb-server-port", "pause-image", "debug", "v", "vmodule",
	"prefer-bundled-bin", "disable-default-registry-endpoint", "image-service-endpoint", "container-runtime-endpoint",
}

// joinSettings is the content of k3s's settings file on a node that joins.
func (c Config) joinSettings() ([]byte, error) {
	out := map[string]any{
		"data-dir": c.DataDir, "node-name": c.NodeName, "server": c.Join.Server, "token": c.Join.Token,
		"node-label": texts(c.Join.Labels), "node-taint": texts(c.Join.Taints),
		"kubelet-arg": []any{maxPIDs},
	}
	for _, key := range slices.Sorted(maps.Keys(c.Extra)) {
		name := strings.TrimSuffix(key, "+")
		if !slices.Contains(agentKeys, name) {
			return nil, extraError(key, "a further node of a cluster does not have it", "remove it from k3s.extra in config.yaml of this machine")
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

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, text := range list {
		out[i] = text
	}
	return out
}

// kubeletHealth is where the kubelet of this machine tells how it is.
const kubeletHealth = "http://127.0.0.1:10248/healthz"

// lookAtNode tells what is missing until a node that joins is of use, as far
// as the machine itself can know: whether the cluster takes it is the
// cluster's to say.
func lookAtNode(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, kubeletHealth, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) // never by a proxy
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return ""
		}
		return "waiting for the kubelet: " + plain(err).Error()
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10)); err != nil || resp.StatusCode != http.StatusOK {
		return "waiting for the kubelet: it answers " + resp.Status
	}
	return ""
}
