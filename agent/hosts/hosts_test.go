package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hks.dev/hks/agent"
)

const foreign = "127.0.0.1\tlocalhost  # mine \r\n\n::1 ip6-localhost\n10.0.0.7 db\n"

func TestSetAndRemove(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "hosts")}
	if err := os.WriteFile(f.Path, []byte(foreign), 0o640); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		table map[string]string
		want  string
	}{
		{map[string]string{"web-staging.localhost": "127.0.0.1", "api-staging.localhost": "127.0.0.1"},
			foreign + "# hks begin\n127.0.0.1\tapi-staging.localhost\n127.0.0.1\tweb-staging.localhost\n# hks end\n"},
		{map[string]string{"web.localhost": "127.0.0.1"}, foreign + "# hks begin\n127.0.0.1\tweb.localhost\n# hks end\n"},
		{nil, foreign},
		{nil, foreign},
	}
	for _, step := range steps {
		if err := f.Set(t.Context(), step.table); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.Path)
		if err != nil || string(got) != step.want {
			t.Errorf("file = %q, want %q (%v)", got, step.want, err)
		}
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(f.Path)); err != nil || len(files) != 1 {
		t.Errorf("files left: %v, %v", files, err)
	}
}

func TestSetKeepsAFileThatSaysSoAlready(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "hosts")}
	table := map[string]string{"web.localhost": "127.0.0.1"}
	inode := func() uint64 {
		if err := f.Set(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	if first, second := inode(), inode(); first != second {
		t.Error("the file was written without need")
	}
}

func TestEditBlockInTheMiddle(t *testing.T) {
	text := "a\n# hks begin\nold\n# hks end\nb"
	got, err := edit([]byte(text), map[string]string{"x.localhost": "::1"})
	if want := "a\nb\n# hks begin\n::1\tx.localhost\n# hks end\n"; err != nil || string(got) != want {
		t.Errorf("got %q, want %q (%v)", got, want, err)
	}
}

func TestSetRefuses(t *testing.T) {
	tests := map[string]struct {
		text  string
		table map[string]string
	}{
		"no end":         {"# hks begin\n10.0.0.7 db\n", map[string]string{"web.localhost": "127.0.0.1"}},
		"no beginning":   {"10.0.0.7 db\n# hks end\n", nil},
		"twice begun":    {"# hks begin\n# hks begin\n# hks end\n", nil},
		"hostile host":   {foreign, map[string]string{"web.localhost\n6.6.6.6 bank.example": "127.0.0.1"}},
		"not an address": {foreign, map[string]string{"web.localhost": "here"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := File{Path: filepath.Join(t.TempDir(), "hosts")}
			if err := os.WriteFile(f.Path, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := f.Set(t.Context(), tt.table); err == nil {
				t.Error("no error")
			}
			if got, err := os.ReadFile(f.Path); err != nil || string(got) != tt.text {
				t.Errorf("file = %q, %v: it was changed", got, err)
			}
		})
	}
}

func TestDamagedBlockNamesTheMend(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "hosts")}
	if err := os.WriteFile(f.Path, []byte("# hks begin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := f.Remove(t.Context())
	e, ok := err.(*agent.Error)
	if !ok || !strings.Contains(e.Fix, f.Path) {
		t.Errorf("error = %v", err)
	}
}

// A container's /etc/hosts is a mount: a rename over it fails with EBUSY.
func TestSetWritesAMountInPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for a mount")
	}
	dir := t.TempDir()
	source, f := filepath.Join(dir, "source"), File{Path: filepath.Join(dir, "hosts")}
	for _, name := range []string{source, f.Path} {
		if err := os.WriteFile(name, []byte(foreign), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount(source, f.Path, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("no mounts here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(f.Path, 0); err != nil {
			t.Error(err)
		}
	})
	if err := f.Set(t.Context(), map[string]string{"web.localhost": "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(source)
	if err != nil || !strings.Contains(string(got), "web.localhost") || !strings.HasPrefix(string(got), foreign) {
		t.Errorf("the mounted file = %q, %v", got, err)
	}
	if _, err := os.Stat(f.Path + ".hks.tmp"); !os.IsNotExist(err) {
		t.Errorf("a temporary file stays: %v", err)
	}
}
