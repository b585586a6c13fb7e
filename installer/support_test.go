package installer

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// unpacked reads a support bundle: its pieces by their names.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	pieces := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return pieces
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		pieces[name] = string(data)
	}
}

// The canary: whatever writes a secret into a log, in whatever form, it is not
// in the bundle. Everything is down here.
func TestA99SupportBundleHoldsNoSecret(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	c := newClinic(t)
	key := strings.Repeat("\x01\xfe\"k", 8)
	token := "K10" + strings.Repeat("ab", 32) + "::server:canary-of-the-engine"
	credential := "canary-of-the-agents-credential"
	secret(t, c.paths.State("secret.key"), key)
	server := filepath.Join(c.paths.K3sData(), "server")
	secret(t, filepath.Join(server, "token"), token+"\n")
	secret(t, filepath.Join(server, "cred/encryption-config.json"), fmt.Sprintf(`{"resources":[{"providers":[{"aescbc":{"keys":[{"name":"k","secret":%q}]}}]}]}`, base64.StdEncoding.EncodeToString([]byte("canary of the encryption!"))))
	secret(t, c.paths.AgentKubeconfig(), "users:\n- name: agent\n  user:\n    token: "+credential+"\n")
	secret(t, c.paths.ConfigFile(), "domain: box.example\nk3s:\n  extra:\n    datastore-endpoint: postgres://kine:canary-of-the-datastore@db/kine\n    agent-token: canary-in-the-settings\n")
	key64 := base64.StdEncoding.EncodeToString([]byte(key))
	canaries := []string{
		key, key64, hex.EncodeToString([]byte(key)), token, "canary-of-the-engine", credential, base64.StdEncoding.EncodeToString([]byte(credential)),
		"canary of the encryption!", base64.StdEncoding.EncodeToString([]byte("canary of the encryption!")), "canary-of-the-datastore", "canary-in-the-settings",
		"hks_" + strings.Repeat("t", 43), "canary-of-a-setup-link", "canary-of-a-header", "ghp_" + strings.Repeat("c", 36), "canary-of-a-url",
	}
	log := strings.Join([]string{
		"starting with " + key64, hex.EncodeToString([]byte(key)), "token " + token, "as " + credential,
		"user:" + credential + ":more in base64: " + base64.StdEncoding.EncodeToString([]byte("x"+credential+"y")), base64.StdEncoding.EncodeToString([]byte("xy" + credential)),
		"with the key canary of the encryption!", "bearer hks_" + strings.Repeat("t", 43), "https://box:8443/setup?token=canary-of-a-setup-link",
		"Authorization: Basic canary-of-a-header", "ghp_" + strings.Repeat("c", 36), "cloning https://me:canary-of-a-url@example.com/x.git", "a line that helps",
	}, "\n")
	secret(t, c.paths.Logs("agent.log"), log)
	if err := c.doctor.writeChange(&change{Upgrade: agent.Upgrade{State: agent.UpgradeReturned, Reason: "it said " + credential}}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := c.visit(t).supportBundle(t.Context(), file, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want it to be root's alone", info.Mode(), err)
	}
	pieces := unpacked(t, file)
	for name, text := range pieces {
		for _, canary := range append(canaries, base64.StdEncoding.EncodeToString([]byte("x" + credential + "y"))[3:20]) {
			if strings.Contains(text, canary) {
				t.Errorf("%s holds %q", name, canary)
			}
		}
	}
	for name, part := range map[string]string{
		"logs/agent.log": "a line that helps", "settings/config.yaml": "domain: box.example", "journal.jsonl": "hks-gateway", "databases.json": `"sound": true`,
		"doctor.json": `"check"`, "versions.json": "v1.0.0", "NOTES": "there is no cluster here", "upgrade.json": "returned",
	} {
		if !strings.Contains(pieces[name], part) {
			t.Errorf("%s lacks %q:\n%s", name, part, pieces[name])
		}
	}
}

func TestForms(t *testing.T) {
	secret := "a secret of some length?~"
	for _, text := range []string{secret, "x" + secret, "xy" + secret, "xyz" + secret + "tail"} {
		found := false
		for _, form := range forms(secret) {
			found = found || strings.Contains(base64.StdEncoding.EncodeToString([]byte(text)), form)
		}
		if !found {
			t.Errorf("not found in the base64 of %q", text)
		}
	}
}
