package installer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMoveSettingsChangesOnlyAddressesThatAreGone(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"the node's": {
			"# mine\ndomain: example.com # kept\nk3s:\n  extra:\n    node-ip: 192.0.2.1\n    tls-san: [192.0.2.1]\n",
			"# mine\ndomain: example.com # kept\nk3s:\n  extra:\n    node-ip: 192.0.2.9\n    tls-san: [192.0.2.1]\n",
		},
		"one it has":   {"k3s:\n  extra:\n    node-ip: 192.0.2.7\n", ""},
		"any":          {"k3s:\n  extra:\n    bind-address: 0.0.0.0\n", ""},
		"none":         {"domain: example.com\n", ""},
		"an empty one": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			changed, err := moveSettings(file, func(address string) bool { return address == "192.0.2.7" }, "192.0.2.9")
			if err != nil || (len(changed) > 0) != (test.after != "") {
				t.Fatalf("%v %v", changed, err)
			}
			want := test.after
			if want == "" {
				want = test.before
			}
			if data, err := os.ReadFile(file); err != nil || string(data) != want {
				t.Errorf("%q %v", data, err)
			}
		})
	}
	if changed, err := moveSettings(filepath.Join(t.TempDir(), "none"), func(string) bool { return false }, "192.0.2.9"); err != nil || changed != nil {
		t.Errorf("without a file: %v %v", changed, err)
	}
}

func TestRestoreRefusesBeforeItChangesAnything(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	bin, root := t.TempDir(), t.TempDir()
	for _, name := range append([]string{"k3s"}, programs...) {
		write(t, filepath.Join(bin, name), "#!")
	}
	living := t.TempDir()
	write(t, filepath.Join(living, "var/lib/hks/hks.db"), "x")
	for name, test := range map[string]struct {
		root string
		args []string
		code int
		want string
	}{
		"no archive named":      {root, nil, exitUsage, "restore takes the archive"},
		"an appliance is there": {living, []string{"/nowhere"}, exitFailed, "--replace"},
		"another's name":        {living, []string{"/nowhere", "--replace", "not-this-machine"}, exitFailed, "is not the name of this machine"},
		"nothing to replace":    {root, []string{"/nowhere", "--replace", "x"}, exitUsage, "nothing to --replace"},
		"s3 without a place":    {living, []string{"s3://bucket/key"}, exitFailed, "there is an appliance on this machine already"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runArgs(t, "", nil, append([]string{"restore", "--root", test.root, "--from", bin}, test.args...)...)
			if r.code != test.code || !strings.Contains(r.out+r.err, test.want) {
				t.Errorf("exit %d, printed %s%s", r.code, r.out, r.err)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	if data, err := os.ReadFile(filepath.Join(living, "var/lib/hks/hks.db")); err != nil || string(data) != "x" {
		t.Errorf("the living one: %q %v", data, err)
	}
}
