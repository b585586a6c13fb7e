package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hks.dev/hks/agent"
)

// folder makes a folder; a value that begins with "-> " is a symbolic link.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckContext(t *testing.T) {
	tests := map[string]struct {
		files  map[string]string
		ignore []string
		limits Limits
		want   int // files
		code   agent.Code
		says   string
	}{
		"plain":           {files: map[string]string{"a": "1", "b/c": "2"}, want: 2},
		"given patterns":  {files: map[string]string{"a": "1", "node_modules/x/y": "2", "b/node_modules/z": "3"}, ignore: []string{"**/node_modules"}, want: 1},
		"own patterns":    {files: map[string]string{".dockerignore": "b\n!b/keep\n", "a": "1", "b/c": "2", "b/keep": "3", "tmp/x": "4"}, ignore: []string{"tmp"}, want: 4},
		"bad pattern":     {files: map[string]string{".dockerignore": "[\n"}, code: agent.CodeInvalid, says: "pattern"},
		"long patterns":   {files: map[string]string{".dockerignore": strings.Repeat("a\n", maxIgnores+1)}, code: agent.CodeInvalid, says: "1000 patterns"},
		"link inside":     {files: map[string]string{"a/b": "1", "c/d": "-> ../a/b"}, want: 2},
		"link to nothing": {files: map[string]string{"a": "-> b"}, want: 1},
		"link out":        {files: map[string]string{"a": "-> ../../etc/passwd"}, code: agent.CodeInvalid, says: `"a" leads out`},
		"absolute link":   {files: map[string]string{"sub/a": "-> /etc/passwd"}, code: agent.CodeInvalid, says: `"sub/a" leads out`},
		"link through a link": {
			files: map[string]string{"here": "-> .", "a": "-> here/../x"}, code: agent.CodeInvalid, says: `"a" leads out`,
		},
		"loop":               {files: map[string]string{"a": "-> b", "b": "-> a"}, code: agent.CodeInvalid, says: "leads out"},
		"ignored link out":   {files: map[string]string{"a": "-> /etc", "b": "1"}, ignore: []string{"a"}, want: 1},
		"own file is a link": {files: map[string]string{".dockerignore": "-> /etc/passwd"}, code: agent.CodeInvalid, says: ".dockerignore"},
		"too many": {
			files: map[string]string{"a": "1", "b/c": "2", "b/d/e": "3"}, limits: Limits{Bytes: 100, Files: 2}, code: agent.CodeTooLarge, says: "the limit is 2 files",
		},
		"too large": {
			files:  map[string]string{"a": "1", "big/deep/er/file": strings.Repeat("x", 200), "small/file": "12345"},
			limits: Limits{Bytes: 100, Files: 10}, code: agent.CodeTooLarge, says: `the largest folders are "big/deep"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.limits == (Limits{}) {
				test.limits = DefaultLimits
			}
			got, err := CheckContext(t.Context(), folder(t, test.files), test.ignore, test.limits)
			if test.code != "" {
				if agent.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("got %v (%s), want %s with %q", err, agent.CodeOf(err), test.code, test.says)
				}
				return
			}
			if err != nil || got.Files != test.want {
				t.Fatalf("got %d files, %v; want %d", got.Files, err, test.want)
			}
		})
	}
}

func TestCheckContextRefusesPipes(t *testing.T) {
	dir := folder(t, map[string]string{"a": "1"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := CheckContext(t.Context(), dir, nil, DefaultLimits)
	e, ok := errors.AsType[*agent.Error](err)
	if !ok || e.Details["path"] != "pipe" {
		t.Fatalf("got %v", err)
	}
}

func TestTemplateIgnores(t *testing.T) {
	dir := folder(t, map[string]string{
		"package.json": "{}", "server.js": "", ".env": "SECRET=1", "api/.env.local": "SECRET=1", ".env.example": "A=", ".git/config": "",
		"node_modules/a/index.js": "", "packages/x/node_modules/b/index.js": "", "lib/dist/kept.js": "",
	})
	got, err := CheckContext(t.Context(), dir, ignoresOf(NodeJS), DefaultLimits)
	if err != nil || got.Files != 4 || got.Own {
		t.Fatalf("got %+v, %v; want package.json, server.js, .env.example and lib/dist/kept.js", got, err)
	}
}
