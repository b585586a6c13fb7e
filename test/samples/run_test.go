package samples

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"
)

// unpacked is an image on the disk.
type unpacked struct {
	bundle  string // folder with rootfs
	config  v1.Config
	history []v1.History
}

func unpack(t *testing.T, archive string) unpacked {
	t.Helper()
	bundle := t.TempDir()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	oci := filepath.Join(bundle, "layout")
	untar(t, file, oci)
	index, err := layout.ImageIndexFromPath(oci)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the archive holds %d images, %v", len(manifest.Manifests), err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	content := mutate.Extract(image)
	defer content.Close()
	untar(t, content, filepath.Join(bundle, "rootfs"))
	return unpacked{bundle: bundle, config: config.Config, history: config.History}
}

func untar(t *testing.T, from io.Reader, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for r := tar.NewReader(from); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = extract(root, header, r)
		}
		if err != nil {
			t.Fatalf("unpacking %v: %v", header, err)
		}
	}
}

func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	name := strings.Trim(header.Name, "/")
	if name == "" || name == "." {
		return nil
	}
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	mode := os.FileMode(header.Mode).Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, mode); err != nil {
			return err
		}
	case tar.TypeReg:
		file, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, content); err != nil {
			return errors.Join(err, file.Close())
		}
		if err := file.Close(); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return root.Link(strings.Trim(header.Linkname, "/"), name)
	default:
		return nil // no device is needed
	}
	return errors.Join(root.Chown(name, header.Uid, header.Gid), root.Chmod(name, mode|os.FileMode(header.Mode)&os.ModeSticky))
}

// run starts the image's command by runc as its user, with a network of its
// own and a file system that can't be written but for /tmp, and returns a
// client that speaks to it.
func run(t *testing.T, image unpacked) *http.Client {
	t.Helper()
	id := "hks-sample-" + strconv.Itoa(os.Getpid())
	user := strings.Split(image.config.User+":"+image.config.User, ":")
	uid, uidErr := strconv.Atoi(user[0])
	gid, gidErr := strconv.Atoi(user[1])
	if uidErr != nil || gidErr != nil {
		t.Fatalf("the user %q is not in numbers, so that it can't be told from root", image.config.User)
	}
	cwd := image.config.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	spec := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": uid, "gid": gid}, "cwd": cwd, "env": image.config.Env, "noNewPrivileges": true,
			"args": append(append([]string{}, image.config.Entrypoint...), image.config.Cmd...),
		},
		"root": map[string]any{"path": "rootfs", "readonly": true},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=755"}},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=1777"}},
		},
		"linux": map[string]any{
			"cgroupsPath": "/" + id,
			"namespaces":  []map[string]string{{"type": "pid"}, {"type": "network"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}},
		},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(image.bundle, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(image.bundle, "state")
	pidFile := filepath.Join(image.bundle, "pid")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, "runc", "--root", state, "run", "--bundle", image.bundle, "--pid-file", pidFile, id)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		stop(t, state, id, cmd)
		if t.Failed() {
			t.Logf("the container's output:\n%s", out.String())
		}
	})
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialIn(ctx, pidFile, network, address)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}, Timeout: 10 * time.Second}
}

// stop has the container end by SIGTERM, as a node does.
func stop(t *testing.T, state, id string, cmd *exec.Cmd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if out, err := exec.CommandContext(ctx, "runc", "--root", state, "kill", id, "TERM").CombinedOutput(); err != nil {
		t.Errorf("stopping the container: %v\n%s", err, out)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the container does not end on SIGTERM")
		if out, err := exec.CommandContext(ctx, "runc", "--root", state, "kill", id, "KILL").CombinedOutput(); err != nil {
			t.Errorf("killing the container: %v\n%s", err, out)
		}
		<-ended
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + id)
	if err != nil {
		t.Error(err)
	}
	for _, group := range groups {
		if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("removing its control group: %v", err)
		}
	}
}

// dialIn dials in the network of the container. The thread that entered it
// ends with the goroutine.
func dialIn(ctx context.Context, pidFile, network, address string) (net.Conn, error) {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		namespace, err := os.Open("/proc/" + strings.TrimSpace(string(pid)) + "/ns/net")
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{nil, fmt.Errorf("entering the container's network: %w", err)}
			return
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}
