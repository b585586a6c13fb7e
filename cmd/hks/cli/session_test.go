package cli

import (
	"os"
	"path/filepath"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func TestNormalURL(t *testing.T) {
	tests := map[string]string{
		"192.0.2.2": "https://192.0.2.2:8443", "hks.example.com": "https://hks.example.com:8443", "host:9443": "https://host:9443",
		"https://Host:8443/": "https://host:8443", "https://host": "https://host", "[2001:db8::1]": "https://[2001:db8::1]:8443",
		"unix:///run/hks/agent.sock": "unix:///run/hks/agent.sock",
	}
	for typed, want := range tests {
		if got, err := normalURL(typed); err != nil || got != want {
			t.Errorf("normalURL(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "http://host", "https://u@host", "https://host/x", "https://host?x", "ftp://host", "a b"} {
		if got, err := normalURL(typed); err == nil {
			t.Errorf("normalURL(%q) = %q", typed, got)
		}
	}
}

func TestTargetPrecedence(t *testing.T) {
	stored := login{URL: "https://stored:8443", Fingerprint: "SHA256:aa", Token: "hks_stored"}
	fromStore := client.Config{URL: stored.URL, Fingerprint: stored.Fingerprint, Token: stored.Token}
	tests := map[string]struct {
		flag   string
		env    map[string]string
		stored login
		want   client.Config
	}{
		"stored login":                      {stored: stored, want: fromStore},
		"environment over stored":           {env: map[string]string{"HKS_URL": "https://env:1", "HKS_TOKEN": "t", "HKS_FINGERPRINT": "f"}, stored: stored, want: client.Config{URL: "https://env:1", Token: "t", Fingerprint: "f"}},
		"flag over environment":             {flag: "https://flag:1", env: map[string]string{"HKS_URL": "https://env:1"}, stored: stored, want: client.Config{URL: "https://flag:1"}},
		"flag for the stored one":           {flag: "stored", stored: stored, want: fromStore},
		"token of the environment":          {flag: "stored", env: map[string]string{"HKS_TOKEN": "t"}, stored: stored, want: client.Config{URL: stored.URL, Fingerprint: stored.Fingerprint, Token: "t"}},
		"a stored token stays with its own": {flag: "https://elsewhere:8443", stored: stored, want: client.Config{URL: "https://elsewhere:8443"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"HKS_CONFIG_DIR": t.TempDir()}
			for k, v := range tt.env {
				env[k] = v
			}
			getenv := func(k string) string { return env[k] }
			s := &session{getenv: getenv, logins: loginStore{getenv}, url: tt.flag}
			if tt.stored.URL != "" {
				if err := s.logins.save(tt.stored); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.target(); err != nil || got.URL != tt.want.URL || got.Token != tt.want.Token || got.Fingerprint != tt.want.Fingerprint {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestLoginStorePath(t *testing.T) {
	tests := []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h"}, "/h/.config/hks/config.json"},
		{map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/hks/config.json"},
		{map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/hks/config.json"},
		{map[string]string{"HKS_CONFIG_DIR": "/c", "XDG_CONFIG_HOME": "/x"}, "/c/config.json"},
	}
	for _, tt := range tests {
		got, err := loginStore{func(k string) string { return tt.env[k] }}.path()
		if err != nil || got != tt.want {
			t.Errorf("%v: %q, %v, want %q", tt.env, got, err, tt.want)
		}
	}
	if _, err := (loginStore{func(string) string { return "" }}).path(); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("no home: %v", err)
	}
}

func TestLoginIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	store := loginStore{func(string) string { return dir }}
	for _, url := range []string{"https://a:1", "https://b:1"} {
		if err := store.save(login{URL: url}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "config.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("leftovers: %v, %v", files, err)
	}
	if got, err := store.load(); err != nil || got.URL != "https://b:1" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSocketUsable(t *testing.T) {
	if socketUsable(filepath.Join(t.TempDir(), "none")) {
		t.Error("no socket is usable")
	}
}
