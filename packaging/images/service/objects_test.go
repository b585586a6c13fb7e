package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bucketOf makes a store with two objects, an empty bucket and what is not to
// be saved.
func bucketOf(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"app/deep/er/one": "first", "app/two": "second", "app/.sgwtmp/multipart/part": "half", ".locks/x": "lock", "stray": "no bucket"} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app/two", "app"} {
		if err := unix.Setxattr(filepath.Join(folder, name), "user.etag", []byte("a\x00b"), 0); err != nil {
			t.Skipf("this folder's filesystem keeps no attributes: %v", err)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(folder, "app/two"), at, at); err != nil {
		t.Fatal(err)
	}
	return folder
}

func archiveOf(t *testing.T, folder string) ([]byte, []Table) {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	tables, err := scan(t.Context(), folder, archive)
	if err := errors.Join(err, archive.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), tables
}

func TestObjectsComeBackAsTheyWere(t *testing.T) {
	archive, saved := archiveOf(t, bucketOf(t))
	if len(saved) != 2 || saved[0].Name != "app" || saved[0].Rows != 2 || saved[1].Name != "empty" || saved[1].Rows != 0 {
		t.Fatalf("got %+v", saved)
	}
	made := t.TempDir()
	if err := unpack(t.Context(), made, bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
	got, err := scan(t.Context(), made, nil)
	if err != nil || differs(saved, got) != "" {
		t.Errorf("%s, %v", differs(saved, got), err)
	}
	info, err := os.Stat(filepath.Join(made, "app/two"))
	if err != nil || info.ModTime().UTC().Year() != 2026 || info.ModTime().UTC().Second() != 5 {
		t.Errorf("it was written at %v, %v", info, err)
	}
	for name, change := range map[string]func(path string) error{
		"other bytes":        func(path string) error { return os.WriteFile(path, []byte("Second"), 0o644) },
		"another attribute":  func(path string) error { return unix.Setxattr(path, "user.etag", []byte("c"), 0) },
		"one attribute more": func(path string) error { return unix.Setxattr(path, "user.more", []byte("c"), 0) },
		"gone":               os.Remove,
	} {
		folder := t.TempDir()
		if err := unpack(t.Context(), folder, bytes.NewReader(archive)); err != nil {
			t.Fatal(err)
		}
		if err := change(filepath.Join(folder, "app/two")); err != nil {
			t.Fatal(err)
		}
		if got, err := scan(t.Context(), folder, nil); err != nil || differs(saved, got) == "" {
			t.Errorf("%s is not seen: %v", name, err)
		}
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	for _, name := range []string{"../outside", "/outside", "app/../../outside"} {
		var out bytes.Buffer
		packed := gzip.NewWriter(&out)
		archive := tar.NewWriter(packed)
		err := archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644})
		if err := errors.Join(err, archive.Close(), packed.Close()); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(t.TempDir(), "in")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unpack(t.Context(), folder, &out); err == nil {
			t.Errorf("%s goes through", name)
		}
	}
}

func TestObjectUsers(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("abcdefghijklmnop"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := objects{settings{data: t.TempDir(), run: t.TempDir(), database: "app", user: "app_1", password: password}}
	if err := o.create(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.addUser(t.Context(), "app_2", "qrstuvwxyzabcdefgh"), o.dropUser(t.Context(), "app_1"), o.dropUser(t.Context(), "app_1")); err != nil {
		t.Fatal(err)
	}
	users, err := o.users()
	if err != nil || len(users) != 1 || users["app_2"].Secret != "qrstuvwxyzabcdefgh" {
		t.Errorf("got %d users, %v", len(users), err)
	}
	if err := o.addUser(t.Context(), "app_3", "no good"); err == nil {
		t.Error("a bad password goes through")
	}
}

// TestExchangeIsWholeAtEveryMoment cuts a restore off at each of its steps.
func TestExchangeIsWholeAtEveryMoment(t *testing.T) {
	x := exchange{filepath.Join(t.TempDir(), "data")}
	put := func(folder, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "f"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, text string) {
		t.Helper()
		if err := x.take(); err != nil { // the next start
			t.Fatal(when, err)
		}
		if got, err := os.ReadFile(filepath.Join(x.folder, "f")); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	put(x.folder, "old")
	want("nothing restored", "old")
	if err := x.begin(); err != nil {
		t.Fatal(err)
	}
	put(x.making(), "half")
	want("cut off while it is made", "old")
	if err := x.begin(); err != nil {
		t.Fatal(err)
	}
	put(x.making(), "new")
	if err := x.commit(); err != nil {
		t.Fatal(err)
	}
	x.drop()
	// Cut off between the two renames of take: the data is beside its place.
	if err := os.Rename(x.folder, x.before()); err != nil {
		t.Fatal(err)
	}
	want("cut off while it is taken", "new")
	if got, err := os.ReadFile(filepath.Join(x.before(), "f")); err != nil || string(got) != "old" {
		t.Errorf("the data from before: %q, %v", got, err)
	}
	if _, err := os.Stat(x.waiting()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
}

func TestDefinitionsKnowWhatIsTheSame(t *testing.T) {
	queue := func(name string, length int) map[string]any {
		return map[string]any{"name": name, "vhost": "app", "arguments": map[string]any{"x-max-length": length}}
	}
	saved := definitions{"queues": {queue("jobs", 1), queue("mail", 2)}, "bindings": {{"source": "x", "destination": "jobs", "routing_key": "a", "arguments": map[string]any{}}}}
	want, err := saved.tables()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		now  definitions
		want string
	}{
		"one more":       {definitions{"queues": {queue("mail", 2), queue("new", 3), queue("jobs", 1)}, "bindings": saved["bindings"]}, ""},
		"one less":       {definitions{"queues": {queue("mail", 2)}, "bindings": saved["bindings"]}, "queues has 1 rows, not 2"},
		"other settings": {definitions{"queues": {queue("mail", 2), queue("jobs", 9)}, "bindings": saved["bindings"]}, "not those that were saved"},
		"no binding":     {definitions{"queues": saved["queues"]}, "bindings has 0 rows"},
	} {
		got, err := tt.now.among(saved).tables()
		if err != nil {
			t.Fatal(err)
		}
		if difference := differs(want, got); (difference == "") != (tt.want == "") || !strings.Contains(difference, tt.want) {
			t.Errorf("%s: %q", name, difference)
		}
	}
}
