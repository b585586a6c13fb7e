package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const busybox = "/bin/busybox" // Debian's busybox-static

// An image is one static program in an otherwise empty image.
type image struct {
	tag        string
	program    string
	entrypoint []string
	more       func() ([]entry, error)
}

var images = []image{
	{"rancher/mirrored-pause:3.10.2", "pause", []string{"/pause"}, nil},
	{"rancher/mirrored-coredns-coredns:1.15.0", "coredns", []string{"/coredns"}, nil},
	{"rancher/mirrored-metrics-server:v0.9.0", "metrics-server", []string{"/metrics-server"}, nil},
	{"rancher/local-path-provisioner:v0.0.30", "local-path-provisioner", []string{"/local-path-provisioner"}, nil},
	{"rancher/mirrored-library-busybox:1.35.0", "", nil, busyboxFiles},
}

// An entry is a file of an image, or a link.
type entry struct {
	path, link string
	data       []byte
	mode       int64
}

// makeImages packs the images into one archive of the payload, and takes the bare programs away.
func makeImages(work string) error {
	dir := filepath.Join(work, "images")
	refs := map[name.Reference]v1.Image{}
	for _, img := range images {
		tag, err := name.NewTag(img.tag)
		if err != nil {
			return err
		}
		made, err := makeImage(dir, img)
		if err != nil {
			return fmt.Errorf("image %s: %w", img.tag, err)
		}
		refs[tag] = made
		if img.program != "" {
			defer os.Remove(filepath.Join(dir, img.program))
		}
	}
	return withProgress("packing images", func() error {
		return tarball.MultiRefWriteToFile(filepath.Join(dir, "k3s-airgap-images.tar"), refs)
	})
}

func makeImage(dir string, img image) (v1.Image, error) {
	var entries []entry
	if img.program != "" {
		data, err := os.ReadFile(filepath.Join(dir, img.program))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{path: img.program, data: data, mode: 0o755})
	}
	if img.more != nil {
		more, err := img.more()
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	layer, err := makeLayer(entries)
	if err != nil {
		return nil, err
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	cfg, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config.Entrypoint = img.entrypoint
	cfg.Config.Env = []string{"PATH=/:/usr/sbin:/usr/bin:/sbin:/bin"}
	if img.entrypoint == nil {
		cfg.Config.Cmd = []string{"sh"}
	}
	return mutate.ConfigFile(made, cfg)
}

func busyboxFiles() ([]entry, error) {
	data, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install busybox-static)", err)
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, err
	}
	out := []entry{{path: "bin/busybox", data: data, mode: 0o755}}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			out = append(out, entry{path: "bin/" + applet, link: "busybox"})
		}
	}
	out = append(out, entry{path: "etc/passwd", data: []byte("root:x:0:0:root:/root:/bin/sh\n"), mode: 0o644}, entry{path: "tmp/.keep", mode: 0o666})
	return out, nil
}

func makeLayer(entries []entry) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.path, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return &rawLayer{data: buf.Bytes()}, nil
}
