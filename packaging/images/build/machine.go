package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// machine is this machine's way to the network, offered to steps as secrets:
// the certificates it trusts, and apt's proxy.
func machine(ctx context.Context) (map[string][]byte, error) {
	secrets := map[string][]byte{}
	path := os.Getenv("SSL_CERT_FILE")
	if path == "" {
		path = "/etc/ssl/certs/ca-certificates.crt"
	}
	switch bundle, err := os.ReadFile(path); {
	case err == nil:
		secrets["ca"] = bundle
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	proxy, err := aptProxy(ctx)
	if err != nil {
		return nil, err
	}
	if len(proxy) > 0 {
		secrets["apt"] = []byte(strings.Join(proxy, "\n") + "\n")
	}
	return secrets, nil
}

// aptProxy are the lines of apt's settings that name a proxy.
func aptProxy(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return nil, fmt.Errorf("asking apt for its settings: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(name, "::Proxy") && value != `"";` {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, nil
}

// proxies are BuildKit's well-known build arguments, which steps see and
// images do not hold.
func proxies() map[string]string {
	args := map[string]string{}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			args[name] = value
		}
	}
	return args
}
