package server

import (
	"fmt"
	"os"
	"path/filepath"

	"hks.dev/hks/test/k3s/internal/pki"
	"hks.dev/hks/test/k3s/internal/settings"
)

// files are the files of a server, at k3s's places.
type files struct{ dir string }

func newFiles(cfg *settings.Settings) files { return files{filepath.Join(cfg.DataDir, "server")} }

func (f files) in(sub string) string   { return filepath.Join(f.dir, sub) }
func (f files) tls(name string) string { return f.in(filepath.Join("tls", name)) }
func (f files) pair(name string) pki.Pair {
	return pki.Pair{Cert: f.tls(name + ".crt"), Key: f.tls(name + ".key")}
}
func (f files) cred(name string) string { return f.in(filepath.Join("cred", name)) }
func (f files) socket() string          { return f.in("kine.sock") }
func (f files) db() string              { return f.in("db/state.db") }
func (f files) manifests() string       { return f.in("manifests") }

// kept are the files that make a cluster the one it is; they are stored in the datastore too, encrypted by the token.
func (f files) kept() []string {
	return []string{
		"tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key",
		"tls/request-header-ca.crt", "tls/request-header-ca.key", "tls/service.key", "cred/encryption-config.json",
	}
}

func (f files) make() error {
	for _, d := range []string{"tls", "cred", "db", "manifests"} {
		if err := os.MkdirAll(f.in(d), 0o700); err != nil {
			return fmt.Errorf("server folders: %w", err)
		}
	}
	return os.Chmod(f.dir, 0o700)
}
