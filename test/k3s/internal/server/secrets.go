package server

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"hks.dev/hks/test/k3s/internal/settings"
	"hks.dev/hks/test/k3s/internal/token"
)

// secrets are what nodes join with.
type secrets struct{ server, agent string }

// readSecrets takes the tokens from the settings, else from the files of an earlier run, else makes new ones.
func readSecrets(cfg *settings.Settings, f files) (secrets, error) {
	s := secrets{}
	for _, from := range []func() string{
		func() string { return cfg.Token },
		func() string { data, _ := os.ReadFile(f.in("token")); return strings.TrimSpace(string(data)) },
		token.NewSecret,
	} {
		if text := from(); text != "" {
			t, err := token.Parse(text)
			if err != nil {
				return s, fmt.Errorf("token: %w", err)
			}
			s.server = t.Secret
			break
		}
	}
	s.agent = s.server
	if cfg.AgentToken != "" {
		t, err := token.Parse(cfg.AgentToken)
		if err != nil {
			return s, fmt.Errorf("agent-token: %w", err)
		}
		s.agent = t.Secret
	}
	return s, nil
}

// write puts the tokens where k3s does, and what the API server reads to know them by.
func (s secrets) write(f files) error {
	ca, err := os.ReadFile(f.tls("server-ca.crt"))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"token":       token.Format(ca, "server", s.server) + "\n",
		"agent-token": token.Format(ca, "node", s.agent) + "\n",
	} {
		if err := os.WriteFile(f.in(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	os.Remove(f.in("node-token"))
	if err := os.Symlink(f.in("token"), f.in("node-token")); err != nil {
		return err
	}
	rows := fmt.Sprintf("%q,k3s-join-server,k3s-join-server,%q\n", s.server, "system:bootstrappers")
	if s.agent != s.server {
		rows += fmt.Sprintf("%q,k3s-join-node,k3s-join-node,%q\n", s.agent, "system:bootstrappers")
	}
	return os.WriteFile(f.cred("passwd"), []byte(rows), 0o600)
}

// ensureEncryption makes the API server's encryption settings once.
func ensureEncryption(f files) error {
	if _, err := os.Stat(f.cred("encryption-config.json")); err == nil {
		return nil
	}
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // never fails
	data, err := json.Marshal(map[string]any{
		"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
		"resources": []any{map[string]any{
			"resources": []string{"secrets"},
			"providers": []any{
				map[string]any{"aescbc": map[string]any{"keys": []any{map[string]string{"name": "aescbckey", "secret": base64.StdEncoding.EncodeToString(key)}}}},
				map[string]any{"identity": map[string]any{}},
			},
		}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(f.cred("encryption-config.json"), data, 0o600)
}
