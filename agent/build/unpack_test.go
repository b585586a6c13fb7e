package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// entry is one of an archive: a file unless it says otherwise, a link where
// the content begins with "-> ".
type entry struct {
	name, content, link string
	kind                byte
	mode                int64
	size                int64 // that the header tells, where it is not the content's
}

// archive writes entries as they are told, however wrong. A header that
// promises more than there is ends the archive.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content)), ModTime: time.Unix(1_700_000_000, 0)}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			h = tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: e.name, PAXRecords: map[string]string{"comment": "a commit"}}
		}
		if e.size > 0 {
			h.Size = e.size
		}
		if target, ok := strings.CutPrefix(e.content, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, e.content = tar.TypeSymlink, target, 0, ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
		if e.size > 0 {
			return out.Bytes()
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpack(t *testing.T) {
	old := syscall.Umask(0o077) // of an agent that is careful
	defer syscall.Umask(old)
	data := archive(t, entry{name: "pax_global_header", kind: tar.TypeXGlobalHeader},
		entry{name: "./", kind: tar.TypeDir}, entry{name: "bin/run", content: "#!", mode: 0o700}, entry{name: "./src/", kind: tar.TypeDir},
		entry{name: "./src/a.txt", content: "one", mode: 0o600}, entry{name: "src/up", kind: tar.TypeSymlink, link: "../bin/run"},
		entry{name: "out", kind: tar.TypeSymlink, link: "/etc/passwd"})
	for name, data := range map[string][]byte{"plain": data, "gzip": zipped(t, data), "padded": append(bytes.Clone(data), make([]byte, 8192)...)} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "source")
			if err := unpack(folder, bytes.NewReader(data), DefaultLimits); err != nil {
				t.Fatal(err)
			}
			for file, want := range map[string]struct {
				content string
				mode    fs.FileMode
			}{"bin/run": {"#!", 0o755}, "src/a.txt": {"one", 0o644}, "src/up": {"#!", 0o755}} {
				path := filepath.Join(folder, file)
				got, err := os.ReadFile(path)
				if err != nil || string(got) != want.content {
					t.Errorf("%s: %q, %v", file, got, err)
				}
				if info, err := os.Stat(path); err != nil || info.Mode() != want.mode || info.ModTime().Unix() != 1_700_000_000 {
					t.Errorf("%s: %+v, %v", file, info, err)
				}
			}
			// It is a link of the source still: what builds says what it thinks of it.
			if link, err := os.Readlink(filepath.Join(folder, "out")); err != nil || link != "/etc/passwd" {
				t.Errorf("the link out: %q, %v", link, err)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	file := entry{name: "a", content: "one"}
	long := strings.Repeat("a/", maxName)
	whole := archive(t, file, entry{name: "b", content: strings.Repeat("x", 5000)})
	badSum := zipped(t, whole)
	badSum[len(badSum)-6] ^= 0xff
	tests := map[string]struct {
		data   []byte
		limits Limits
		code   agent.Code
		says   string
	}{
		"up":                      {data: archive(t, entry{name: "../escaped", content: "x"}), code: agent.CodeInvalid, says: "outside"},
		"up in the middle":        {data: archive(t, entry{name: "a/../../escaped", content: "x"}), code: agent.CodeInvalid, says: "outside"},
		"absolute":                {data: archive(t, entry{name: "/tmp/escaped", content: "x"}), code: agent.CodeInvalid, says: "outside"},
		"through a link":          {data: archive(t, entry{name: "a", kind: tar.TypeSymlink, link: ".."}, entry{name: "a/escaped", content: "x"}), code: agent.CodeInvalid, says: `"a/escaped"`},
		"through an absolute one": {data: archive(t, entry{name: "a", kind: tar.TypeSymlink, link: "/tmp"}, entry{name: "a/b/escaped", content: "x"}), code: agent.CodeInvalid, says: `"a/b/escaped"`},
		"over a link":             {data: archive(t, entry{name: "a", kind: tar.TypeSymlink, link: "../escaped"}, entry{name: "a", content: "x"}), code: agent.CodeInvalid, says: `"a"`},
		"a folder over a link":    {data: archive(t, entry{name: "a", kind: tar.TypeSymlink, link: "../escaped"}, entry{name: "a", kind: tar.TypeDir}), code: agent.CodeInvalid, says: `"a"`},
		"twice":                   {data: archive(t, file, file), code: agent.CodeInvalid, says: `"a"`},
		"hard link":               {data: archive(t, file, entry{name: "b", kind: tar.TypeLink, link: "a"}), code: agent.CodeInvalid, says: `"b" is no file, folder or link`},
		"device":                  {data: archive(t, entry{name: "a", kind: tar.TypeChar}), code: agent.CodeInvalid, says: "is no file"},
		"disk":                    {data: archive(t, entry{name: "a", kind: tar.TypeBlock}), code: agent.CodeInvalid, says: "is no file"},
		"pipe":                    {data: archive(t, entry{name: "a", kind: tar.TypeFifo}), code: agent.CodeInvalid, says: "is no file"},
		"long name":               {data: archive(t, entry{name: long + "a", content: "x"}), code: agent.CodeInvalid, says: "more than 1024 bytes"},
		"too many files":          {data: archive(t, file, entry{name: "b"}, entry{name: "c"}), limits: Limits{Files: 2, Bytes: 100}, code: agent.CodeTooLarge, says: "more than 2 files"},
		"too many folders":        {data: archive(t, entry{name: "a/b/c/d", content: "x"}), limits: Limits{Files: 2, Bytes: 100}, code: agent.CodeTooLarge, says: "folders"},
		"too large":               {data: archive(t, entry{name: "a", content: "0123456789"}), limits: Limits{Files: 2, Bytes: 9}, code: agent.CodeTooLarge, says: ".dockerignore"},
		"a promise of too much":   {data: archive(t, entry{name: "a", size: 1 << 40}), code: agent.CodeTooLarge, says: "512 MiB"},
		"bomb":                    {data: zipped(t, archive(t, entry{name: "a", content: strings.Repeat("0", 8<<20)})), limits: Limits{Files: 2, Bytes: 1 << 20}, code: agent.CodeTooLarge, says: "1 MiB"},
		"cut in a file":           {data: whole[:2000], code: agent.CodeInvalid, says: "no whole tar archive"},
		"cut in a header":         {data: whole[:1100], code: agent.CodeInvalid, says: "no whole tar archive"},
		"cut gzip":                {data: zipped(t, whole)[:40], code: agent.CodeInvalid, says: "no whole tar archive"},
		"cut before the checksum": {data: badSum[:len(badSum)-8], code: agent.CodeInvalid, says: "no whole tar archive"},
		"wrong checksum":          {data: badSum, code: agent.CodeInvalid, says: "no whole tar archive"},
		"no gzip":                 {data: []byte{0x1f, 0x8b, 0, 0}, code: agent.CodeInvalid, says: "no whole tar archive"},
		"no archive":              {data: []byte(strings.Repeat("hello", 500)), code: agent.CodeInvalid, says: "no whole tar archive"},
		"nothing":                 {code: agent.CodeInvalid, says: "empty"},
		"no entries":              {data: archive(t), code: agent.CodeInvalid, says: "empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.limits == (Limits{}) {
				test.limits = DefaultLimits
			}
			around := t.TempDir()
			err := unpack(filepath.Join(around, "source"), bytes.NewReader(test.data), test.limits)
			e, ok := err.(*agent.Error)
			if !ok || e.Code != test.code || !strings.Contains(e.Message+" "+e.Fix, test.says) || e.Fix == "" {
				t.Errorf("got %#v, want %s about %q", err, test.code, test.says)
			}
			if entries, err := os.ReadDir(around); err != nil || len(entries) != 1 {
				t.Errorf("beside the source: %v, %v", entries, err)
			}
			if _, err := os.Lstat("/tmp/escaped"); err == nil {
				t.Error("/tmp/escaped was written")
			}
		})
	}
}
