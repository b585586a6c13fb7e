package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"hks.dev/hks/agent"
)

// The files of an archive that name its images: docker-archive and OCI layout.
const (
	dockerManifest = "manifest.json"
	ociIndex       = "index.json"
)

const maxManifest = 4 << 20

var errNoArchive = &agent.Error{
	Code: agent.CodeInvalidImage, Message: "the file is not an archive of one image", Fix: "make one: docker save IMAGE -o FILE.tar",
}

// renamed passes an archive on with its one image called name. Closing the
// reader ends the copying.
func renamed(archive io.Reader, name string) io.ReadCloser {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(rename(w, archive, name)) }() // CloseWithError never fails
	return r
}

func rename(w io.Writer, archive io.Reader, name string) error {
	in, out := tar.NewReader(archive), tar.NewWriter(w)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return errNoArchive
		}
		content := io.Reader(in)
		var edit func([]byte, string) ([]byte, error)
		switch header.Name {
		case "repositories": // the oldest form of names; manifest.json takes its place
			continue
		case dockerManifest:
			edit = renameDocker
		case ociIndex:
			edit = renameOCI
		}
		if edit != nil {
			if content, err = edited(in, header, name, edit); err != nil {
				return err
			}
		}
		if err := out.WriteHeader(header); err != nil {
			return fmt.Errorf("passing the archive on: %w", err)
		}
		if _, err := io.Copy(out, content); err != nil {
			return fmt.Errorf("passing the archive on: %w", err)
		}
	}
}

// edited reads one small file, edits it and sets its new size.
func edited(in io.Reader, header *tar.Header, name string, edit func([]byte, string) ([]byte, error)) (io.Reader, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxManifest))
	if err != nil {
		return nil, errNoArchive
	}
	if data, err = edit(data, name); err != nil {
		return nil, err
	}
	header.Size = int64(len(data))
	return bytes.NewReader(data), nil
}

func renameDocker(data []byte, name string) ([]byte, error) {
	var images []map[string]any
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, errNoArchive
	}
	if err := onlyOne(len(images)); err != nil {
		return nil, err
	}
	images[0]["RepoTags"] = []string{name}
	return json.Marshal(images)
}

func renameOCI(data []byte, name string) ([]byte, error) {
	var index map[string]any
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, errNoArchive
	}
	manifests, _ := index["manifests"].([]any)
	if err := onlyOne(len(manifests)); err != nil {
		return nil, err
	}
	manifest, ok := manifests[0].(map[string]any)
	if !ok {
		return nil, errNoArchive
	}
	annotations, _ := manifest["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	// OCI image-spec, annotations; the second is what docker and containerd read.
	annotations["org.opencontainers.image.ref.name"] = name
	annotations["io.containerd.image.name"] = name
	manifest["annotations"] = annotations
	return json.Marshal(index)
}

func onlyOne(n int) error {
	if n == 1 {
		return nil
	}
	return agent.Errorf(agent.CodeInvalidImage, "leave --name out to load them under their own names", "the archive holds %s, --name is for one", plural(n, "image"))
}
