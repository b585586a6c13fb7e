package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func newKey(t *testing.T) Key {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sample(t *testing.T, key Key) []byte {
	t.Helper()
	var to bytes.Buffer
	w, err := NewWriter(&to, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{Database: "database", Settings: "", NodePassword: "password", VolumesDir + "v/disk.img": strings.Repeat("\x00", 300<<10) + "end"} {
		if err := w.Add(t.Context(), name, 0o600, int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(Manifest{MadeAt: time.Unix(1, 0).UTC(), Contents: agent.ApplianceParts{Version: "1"}}); err != nil {
		t.Fatal(err)
	}
	return to.Bytes()
}

func TestArchiveComesBackAsItWas(t *testing.T) {
	key, folder := newKey(t), t.TempDir()
	data := sample(t, key)
	again, err := ParseKey("# made at the first start\n\n" + strings.ToLower(key.String()) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Read(t.Context(), bytes.NewReader(data), again, func(p Part, content io.Reader) error {
		return Place(p, content, filepath.Join(folder, filepath.FromSlash(p.Name)))
	})
	if err != nil || len(m.Parts) != 4 || m.Contents.Files != 4 || m.Contents.Version != "1" {
		t.Fatalf("%+v %v", m, err)
	}
	disk, err := os.ReadFile(filepath.Join(folder, VolumesDir+"v/disk.img"))
	if err != nil || len(disk) != 300<<10+3 || !bytes.HasSuffix(disk, []byte("\x00end")) {
		t.Errorf("%d bytes, %v", len(disk), err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, NodePassword)); err != nil || string(text) != "password" {
		t.Errorf("%q %v", text, err)
	}
}

func TestArchiveThatIsNotWholeDoesNotOpen(t *testing.T) {
	key := newKey(t)
	data := sample(t, key)
	for name, change := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"no archive at all": func([]byte) []byte { return []byte("hello, I am no archive") },
		"cut in the middle": func(d []byte) []byte { return d[:len(d)/2] },
		"cut by a byte":     func(d []byte) []byte { return d[:len(d)-1] },
		"a byte more":       func(d []byte) []byte { return append(d, 'x') },
		"a byte changed":    func(d []byte) []byte { d[len(d)-20] ^= 1; return d },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), bytes.NewReader(change(bytes.Clone(data))), key, nil)
			if agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := Read(t.Context(), bytes.NewReader(data), newKey(t), nil); agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("another key: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ended, bytes.NewReader(data), key, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a read that was ended: %v", err)
	}
}

func TestNamesLeadNowhereElse(t *testing.T) {
	w, err := NewWriter(io.Discard, newKey(t).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "/etc/passwd", "root/../etc/passwd", "root//x", "other/x", "root/", "machine/a/../../x", "root/a\x00b"} {
		if err := w.Add(t.Context(), name, 0o600, 1, strings.NewReader("x")); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func TestFileThatBecameShorterIsAnError(t *testing.T) {
	w, err := NewWriter(io.Discard, newKey(t).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(t.Context(), Settings, 0o600, 10, strings.NewReader("short")); err == nil || !strings.Contains(err.Error(), "5 bytes only") {
		t.Errorf("%v", err)
	}
}

func TestParseKey(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "only comments": "# a\n", "public half": newKey(t).Recipient(), "rubbish": "AGE-SECRET-KEY-1QQQ"} {
		if _, err := ParseKey(text); agent.CodeOf(err) != agent.CodeInvalid || strings.Contains(err.Error(), "QQQ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
