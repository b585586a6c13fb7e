package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/sync/errgroup"

	"hks.dev/hks/packaging/images/internal/builder"
)

// maker makes what the cache lacks.
type maker struct {
	recipes   pins
	cache     string
	buildkitd string // may be empty
	sources   string // may be empty
}

func (m *maker) layout(img image) string { return filepath.Join(m.cache, "layouts", img.file()) }

// keys are those of all images; each depends on its base's.
func (m *maker) keys() (map[string]string, error) {
	keys := map[string]string{}
	for _, img := range images {
		folder, err := folderKey(img.name)
		if err != nil {
			return nil, err
		}
		if img.service {
			program, err := folderKey("service")
			if err != nil {
				return nil, err
			}
			folder += program
		}
		parts := []string{m.recipes.date.String(), m.recipes.debian, keys[img.parent().name], img.reference(), folder, strings.Join(m.recipes.of(img), " ")}
		if img.gateway {
			module, err := os.ReadFile(gatewayModule)
			if err != nil {
				return nil, fmt.Errorf("reading what the object store is made of: %w", err)
			}
			parts = append(parts, string(module), m.recipes.golang)
		}
		if img.runtime {
			source, err := folderKey("runtime")
			if err != nil {
				return nil, err
			}
			parts = append(parts, source)
		}
		keys[img.name] = key(parts...)
	}
	return keys, nil
}

func (m *maker) make(ctx context.Context) (err error) {
	keys, err := m.keys()
	if err != nil {
		return err
	}
	var missing []image
	for _, img := range images {
		if !kept(filepath.Join(m.layout(img), "key"), keys[img.name]) {
			missing = append(missing, img)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("this needs root: it makes a root file system and starts a builder")
	}
	// The lock is ours: what is there was left by a run that was killed.
	left, err := filepath.Glob(filepath.Join(m.cache, "work-*"))
	if err != nil {
		return fmt.Errorf("looking for leftovers: %w", err)
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("removing leftovers: %w", err)
		}
	}
	work, err := os.MkdirTemp(m.cache, "work-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := m.prepare(ctx, work, missing); err != nil {
		return err
	}
	return m.build(ctx, work, missing, keys)
}

// prepare has everything at hand that the builds need, all at once: most of it
// waits for the network.
func (m *maker) prepare(ctx context.Context, work string, missing []image) error {
	group, ctx := errgroup.WithContext(ctx)
	if m.buildkitd == "" {
		m.buildkitd = filepath.Join(work, "buildkitd")
		group.Go(timed("building buildkitd", func() error { return builder.Compile(ctx, m.buildkitd) }))
	}
	for _, img := range missing {
		folder := filepath.Join(work, img.name)
		if err := os.CopyFS(folder, os.DirFS(img.name)); err != nil {
			return fmt.Errorf("copying a recipe: %w", err)
		}
		if img.name == images[0].name {
			group.Go(timed("making Debian's root file system", func() error { return m.rootfs(ctx, filepath.Join(folder, "rootfs.tar")) }))
		}
		for file, name := range img.npm {
			group.Go(func() error { return m.npmPack(ctx, name, filepath.Join(folder, file)) })
		}
		if img.runtime {
			group.Go(func() error { return m.program(ctx, filepath.Join(folder, "runtime")) })
		}
		if img.service {
			group.Go(func() error { return compileService(ctx, filepath.Join(folder, "service")) })
		}
		if img.gateway {
			group.Go(timed("building the object store", func() error { return compileGateway(ctx, filepath.Join(folder, "versitygw")) }))
		}
		if img.toolchain {
			group.Go(timed("fetching the Go toolchain", func() error { return m.toolchain(ctx, filepath.Join(folder, "go.tar")) }))
		}
	}
	return group.Wait()
}

// compileService builds the entry point of the databases, which needs nothing of an image.
func compileService(ctx context.Context, target string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", target, "./service")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the databases' entry point: %w\n%s", err, out)
	}
	return nil
}

// gatewayModule says which versions the object store is made of.
const gatewayModule = "../versitygw/go.mod"

// gatewayVersion is the object store's own.
func gatewayVersion() (string, error) {
	text, err := os.ReadFile(gatewayModule)
	if err != nil {
		return "", fmt.Errorf("reading what the object store is made of: %w", err)
	}
	module, err := modfile.ParseLax(gatewayModule, text, nil)
	if err != nil {
		return "", fmt.Errorf("reading what the object store is made of: %w", err)
	}
	for _, needed := range module.Require {
		if needed.Mod.Path == "github.com/versity/versitygw" {
			return needed.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not name the object store", gatewayModule)
}

// compileGateway builds the object store, which has a module of its own.
func compileGateway(ctx context.Context, target string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", target, "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir = filepath.Dir(gatewayModule)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the object store: %w\n%s", err, out)
	}
	return nil
}

func (m *maker) build(ctx context.Context, work string, missing []image, keys map[string]string) (err error) {
	secrets, err := machine(ctx)
	if err != nil {
		return err
	}
	daemon, err := builder.Start(ctx, m.buildkitd, filepath.Join(work, "state"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, daemon.Stop()) }()
	one := func(ctx context.Context, img image) error {
		return timed("making "+img.reference(), func() error { return m.one(ctx, daemon, work, img, secrets, keys[img.name]) })()
	}
	if missing[0].name == images[0].name {
		if err := one(ctx, missing[0]); err != nil {
			return err
		}
		missing = missing[1:]
	}
	// First those that others are made of.
	for _, derived := range []bool{false, true} {
		group, ctx := errgroup.WithContext(ctx)
		for _, img := range missing {
			if (img.from != "") == derived {
				group.Go(func() error { return one(ctx, img) })
			}
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// program compiles the runtime of functions.
func (m *maker) program(ctx context.Context, target string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", target, "./runtime")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the runtime of functions: %w\n%s", err, out)
	}
	return nil
}

// one builds one image into its layout, which is in its place when it is whole.
func (m *maker) one(ctx context.Context, daemon *builder.Daemon, work string, img image, secrets map[string][]byte, key string) error {
	made := filepath.Join(work, "layout-"+img.name)
	job := builder.Job{
		Name:    img.reference(),
		Context: filepath.Join(work, img.name),
		Args:    proxies(),
		Secrets: secrets,
		Layout:  made,
		Epoch:   m.recipes.epoch(),
	}
	versions := m.recipes.of(img)
	if img.gateway {
		version, err := gatewayVersion()
		if err != nil {
			return err
		}
		versions = append(versions, "versitygw="+version)
	}
	job.Args["VERSIONS"] = strings.Join(versions, " ")
	if base := img.parent(); img.name != base.name {
		job.Bases = map[string]string{base.reference(): m.layout(base)}
	}
	if err := daemon.Build(ctx, job); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(made, "key"), []byte(key+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	target := m.layout(img)
	err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.RemoveAll(target), os.Rename(made, target))
	if err != nil {
		return fmt.Errorf("keeping the image: %w", err)
	}
	return nil
}

// archive writes an image's archive unless the one that is there is of it.
func (m *maker) archive(img image, out string) error {
	text, err := os.ReadFile(filepath.Join(m.layout(img), "key"))
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	archive, mark := filepath.Join(out, img.file()+".tar"), filepath.Join(out, "."+img.file()+".key")
	if _, err := os.Stat(archive); err == nil && kept(mark, strings.TrimSpace(string(text))) {
		return nil
	}
	if err := builder.Archive(m.layout(img), archive); err != nil {
		return err
	}
	if err := os.WriteFile(mark, text, 0o644); err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	info, err := os.Stat(archive)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d MB\n", archive, info.Size()>>20)
	return nil
}

// timed says when something that takes long is done.
func timed(what string, do func() error) func() error {
	return func() error {
		start := time.Now()
		fmt.Printf("%s...\n", what)
		if err := do(); err != nil {
			return err
		}
		fmt.Printf("%s took %s\n", what, time.Since(start).Round(time.Second))
		return nil
	}
}
