package installer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// releases is where k3s is published; HKS_MIRROR names another place with the
// same layout.
const releases = "https://github.com/k3s-io/k3s/releases/download"

// Bounds of a download.
const (
	connectLimit = 10 * time.Second
	answerLimit  = 30 * time.Second
	fileLimit    = 30 * time.Minute
	maxSums      = 1 << 20
	maxFile      = 4 << 30
)

type fetchOptions struct {
	mirror string
	to     string
	arch   string
	images bool
	record string // lock file to write; empty: none
}

// fetcher downloads a release and keeps only what was verified.
type fetcher struct {
	o      fetchOptions
	lock   lockFile
	client *http.Client
	err    io.Writer
}

func newFetcher(o fetchOptions, progress io.Writer) (*fetcher, error) {
	lock, err := parseLock(embeddedLock)
	if err != nil {
		return nil, err
	}
	if o.mirror == "" {
		o.mirror = releases
	}
	if u, err := url.Parse(o.mirror); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, usageError{fmt.Errorf("HKS_MIRROR is %q, want a URL such as %s", o.mirror, releases)}
	}
	if o.arch == "" {
		o.arch = runtime.GOARCH
	}
	if o.arch != "amd64" && o.arch != "arm64" {
		return nil, usageError{fmt.Errorf("there is no k3s for %q here: amd64 or arm64", o.arch)}
	}
	return &fetcher{o: o, lock: lock, err: progress, client: &http.Client{
		Timeout: fileLimit,
		Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: connectLimit}).DialContext, TLSHandshakeTimeout: connectLimit,
			ResponseHeaderTimeout: answerLimit, ForceAttemptHTTP2: true,
		},
	}}, nil
}

// item is one file of the release.
type item struct {
	remote string // its name in the release
	local  string // the name it gets here
	mode   os.FileMode
}

func (f *fetcher) items() []item {
	binary := "k3s"
	if f.o.arch == "arm64" {
		binary = "k3s-arm64"
	}
	list := []item{{binary, "k3s", 0o755}}
	if f.o.images {
		images := "k3s-airgap-images-" + f.o.arch + ".tar.zst"
		list = append(list, item{images, images, 0o644})
	}
	return list
}

// fetch downloads what is missing and verifies everything: against the
// checksum file of the release, and against the lock file where it knows.
func (f *fetcher) fetch(ctx context.Context) error {
	if err := os.MkdirAll(f.o.to, 0o755); err != nil {
		return fmt.Errorf("making the folder for k3s: %w", err)
	}
	sumsFile := "sha256sum-" + f.o.arch + ".txt"
	text, err := f.small(ctx, sumsFile)
	if err != nil {
		return err
	}
	sums, err := parseSums(text)
	if err != nil {
		return fmt.Errorf("%s: %w", sumsFile, err)
	}
	var unrecorded []string
	for _, it := range f.items() {
		want, err := f.expected(it.remote, sumsFile, sums)
		if err != nil {
			return err
		}
		if f.lock.sums[it.remote] == "" {
			unrecorded = append(unrecorded, it.remote)
		}
		if err := f.file(ctx, it, want); err != nil {
			return err
		}
		f.lock.sums[it.remote] = want
	}
	if err := replaceFile(filepath.Join(f.o.to, sumsFile), []byte(text), 0o644); err != nil {
		return fmt.Errorf("keeping the checksum file: %w", err)
	}
	if f.o.record != "" {
		if err := replaceFile(f.o.record, []byte(f.lock.text()), 0o644); err != nil {
			return fmt.Errorf("recording checksums: %w", err)
		}
		f.say("recorded the checksums in %s", f.o.record)
		return nil
	}
	if len(unrecorded) > 0 {
		f.say("warning: %s %s verified against the release's own checksum file only, which comes from the same place; k3s.lock has no checksum yet.",
			strings.Join(unrecorded, ", "), map[bool]string{true: "was", false: "were"}[len(unrecorded) == 1])
		f.say("  fix: compare with a second source, then run it again with --record and commit installer/k3s.lock")
	}
	return nil
}

// expected is the checksum that a file must have. The lock file's word counts
// when the release says otherwise: the release was changed.
func (f *fetcher) expected(name, sumsFile string, sums map[string]string) (string, error) {
	want, ok := sums[name]
	if !ok {
		return "", fmt.Errorf("the release's %s has no line for %s", sumsFile, name)
	}
	if locked := f.lock.sums[name]; locked != "" && locked != want {
		return "", &agent.Error{
			Code: agent.CodeConflict,
			Message: fmt.Sprintf("the release's checksum of %s (%s) is not the one that was verified for k3s.lock (%s): the release was changed, or the mirror %s is not honest",
				name, want, locked, f.o.mirror),
			Fix: "don't use these files; fetch from another place by HKS_MIRROR, or name a k3s binary you trust by HKS_K3S_BINARY",
		}
	}
	return want, nil
}

// file has one file in place that has the checksum wanted. What does not
// match never gets its name.
func (f *fetcher) file(ctx context.Context, it item, want string) error {
	target := filepath.Join(f.o.to, it.local)
	if have, err := hashFile(target); err == nil && have == want {
		f.say("%s %s is here already", it.remote, f.lock.version)
		return os.Chmod(target, it.mode)
	}
	f.say("fetching %s %s", it.remote, f.lock.version)
	body, err := f.open(ctx, it.remote)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	temp, err := os.CreateTemp(f.o.to, it.local+".*.tmp")
	if err != nil {
		return fmt.Errorf("fetching %s: %w", it.remote, err)
	}
	sum := sha256.New()
	_, copied := io.Copy(io.MultiWriter(temp, sum), io.LimitReader(body, maxFile))
	err = errors.Join(temp.Chmod(it.mode), temp.Sync(), temp.Close())
	got := hex.EncodeToString(sum.Sum(nil))
	switch {
	case copied != nil:
		err = f.unreachable(it.remote, fmt.Errorf("the download was cut off: %w", copied))
	case err != nil:
		err = fmt.Errorf("fetching %s: %w", it.remote, err)
	case got != want:
		err = &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("%s has the checksum %s, but the release says %s; it was thrown away", it.remote, got, want),
			Fix:     "run it again; if it stays so, fetch from another place by HKS_MIRROR or name a binary by HKS_K3S_BINARY",
		}
	default:
		err = os.Rename(temp.Name(), target)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp.Name())))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// small reads a small file as a whole.
func (f *fetcher) small(ctx context.Context, name string) (string, error) {
	body, err := f.open(ctx, name)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(body, maxSums))
	if err != nil {
		return "", f.unreachable(name, err)
	}
	return string(data), nil
}

// open begins a download.
func (f *fetcher) open(ctx context.Context, name string) (io.ReadCloser, error) {
	address := strings.TrimSuffix(f.o.mirror, "/") + "/" + url.PathEscape(f.lock.version) + "/" + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", name, err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, f.unreachable(name, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // an error page
		return nil, f.unreachable(name, fmt.Errorf("the server answered %s", resp.Status))
	}
	return resp.Body, nil
}

func (f *fetcher) unreachable(name string, cause error) *agent.Error {
	if u, ok := errors.AsType[*url.Error](cause); ok {
		cause = u.Err // the address is named already
	}
	return &agent.Error{
		Code:    agent.CodeNotFound,
		Message: fmt.Sprintf("%s of k3s %s can't be fetched from %s: %v", name, f.lock.version, f.o.mirror, cause),
		Fix:     "name a mirror by HKS_MIRROR or a k3s binary by HKS_K3S_BINARY, or build the stand-in with make k3s",
		Cause:   cause,
	}
}

func (f *fetcher) say(format string, args ...any) { fmt.Fprintf(f.err, format+"\n", args...) }
