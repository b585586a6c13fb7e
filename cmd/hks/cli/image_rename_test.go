package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"hks.dev/hks/agent"
)

func archiveOf(t *testing.T, files ...[2]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func contents(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(r); ; {
		header, err := in.Next()
		if err == io.EOF { //nolint:errorlint // archive/tar promises it bare
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}

func TestRenamedArchive(t *testing.T) {
	r := renamed(archiveOf(t,
		[2]string{"blobs/sha256/abc", "layer"},
		[2]string{"manifest.json", `[{"Config":"c.json","RepoTags":["old:1"],"Layers":["l"]}]`},
		[2]string{"index.json", `{"schemaVersion":2,"manifests":[{"digest":"sha256:abc","size":1234567890123}]}`},
		[2]string{"repositories", `{"old":{"1":"x"}}`},
	), "web:2")
	got := contents(t, r)
	var docker []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal([]byte(got["manifest.json"]), &docker); err != nil || docker[0].RepoTags[0] != "web:2" || docker[0].Config != "c.json" {
		t.Errorf("manifest.json: %s, %v", got["manifest.json"], err)
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Size        int64
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal([]byte(got["index.json"]), &index); err != nil || index.Manifests[0].Size != 1234567890123 ||
		index.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "web:2" {
		t.Errorf("index.json: %s, %v", got["index.json"], err)
	}
	if _, there := got["repositories"]; there || got["blobs/sha256/abc"] != "layer" {
		t.Errorf("files: %q", got)
	}
}

func TestRenamedRefuses(t *testing.T) {
	tests := map[string]io.Reader{
		"two images": archiveOf(t, [2]string{"manifest.json", `[{},{}]`}),
		"no image":   archiveOf(t, [2]string{"index.json", `{"manifests":[]}`}),
		"not JSON":   archiveOf(t, [2]string{"index.json", `?`}),
		"not a tar":  bytes.NewReader(bytes.Repeat([]byte("x"), 4096)),
	}
	for name, archive := range tests {
		t.Run(name, func(t *testing.T) {
			r := renamed(archive, "web:2")
			if _, err := io.Copy(io.Discard, r); agent.CodeOf(err) != agent.CodeInvalidImage {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRenamedEndsWithItsReader(t *testing.T) {
	r := renamed(archiveOf(t, [2]string{"blob", string(make([]byte, 1<<20))}), "web:2")
	if _, err := io.ReadFull(r, make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
