package node

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/fsnotify/fsnotify"
)

// imageLabels make the images the cluster's own: kept by the kubelet, and known to the CRI.
var imageLabels = map[string]string{"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"}

// ImportImages imports the packaged images and those of agent/images.
func (n *Node) ImportImages(ctx context.Context, client *containerd.Client) error {
	seen := n.readImported()
	for _, dir := range []string{n.payload.Images(), n.agent("images")} {
		if err := n.importDir(ctx, client, dir, seen); err != nil {
			return err
		}
	}
	return nil
}

// WatchImages imports archives as they appear in agent/images.
func (n *Node) WatchImages(ctx context.Context, client *containerd.Client) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Printf("level=error msg=\"watching agent/images\" error=%q", err)
		return
	}
	defer watcher.Close()
	if err := watcher.Add(n.agent("images")); err != nil {
		log.Printf("level=error msg=\"watching agent/images\" error=%q", err)
		return
	}
	seen := n.readImported()
	settled := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Events:
			settled.Reset(time.Second) // a file is ready when nobody has written to it for a while
		case <-settled.C:
			if err := n.importDir(ctx, client, n.agent("images"), seen); err != nil && ctx.Err() == nil {
				log.Printf("level=error msg=\"importing images\" error=%q", err)
			}
		}
	}
}

func (n *Node) importDir(ctx context.Context, client *containerd.Client, dir string, seen imported) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !isArchive(e.Name()) {
			continue
		}
		file := filepath.Join(dir, e.Name())
		stamp := fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
		if old, ok := seen[file]; ok && old.Stamp == stamp && present(ctx, client, old.Images) {
			continue
		}
		start := time.Now()
		names, err := importFile(ctx, client, file)
		if err != nil {
			// One bad archive keeps no other one away, and isn't tried again until it changes.
			log.Printf("level=error msg=\"importing %s\" error=%q", file, err)
			seen[file] = importedFile{Stamp: stamp}
			continue
		}
		log.Printf("level=info msg=\"imported %s in %s\" images=%q", file, time.Since(start).Round(time.Millisecond), names)
		seen[file] = importedFile{Stamp: stamp, Images: names}
		if err := n.writeImported(seen); err != nil {
			return err
		}
	}
	return nil
}

func isArchive(name string) bool {
	for _, ext := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
		if strings.HasSuffix(name, ext) && !strings.HasPrefix(name, ".") {
			return true
		}
	}
	return false
}

func importFile(ctx context.Context, client *containerd.Client, file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stream, err := compression.DecompressStream(f)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	ctx, done, err := client.WithLease(ctx)
	if err != nil {
		return nil, err
	}
	defer done(ctx) //nolint:errcheck // it expires
	found, err := client.Import(ctx, stream, containerd.WithImageLabels(imageLabels), containerd.WithSkipMissing())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, img := range found {
		if err := containerd.NewImage(client, img).Unpack(ctx, "overlayfs"); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", img.Name, err)
		}
		names = append(names, img.Name)
	}
	return names, nil
}

func present(ctx context.Context, client *containerd.Client, names []string) bool {
	for _, name := range names {
		if _, err := client.ImageService().Get(ctx, name); err != nil {
			return false
		}
	}
	return true
}
