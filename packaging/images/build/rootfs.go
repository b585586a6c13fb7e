package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// included are the packages of the base beside Debian's minimal set.
const included = "ca-certificates,netbase,tini,tzdata"

// rootfs makes Debian's root file system with apt's mirrors of this machine,
// and keeps it in the cache, as it takes the longest of all.
func (m *maker) rootfs(ctx context.Context, target string) error {
	sources, err := m.sourcesList(ctx)
	if err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--variant=minbase", "--format=tar", "--quiet", "--include=" + included,
		// No manual pages and translations, now and when more is installed; licences stay.
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		// The container's runtime makes /dev.
		"--skip=output/dev",
		// The machine's way to the mirror is not the image's.
		`--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"`,
	}
	proxy, err := aptProxy(ctx)
	if err != nil {
		return err
	}
	for _, line := range proxy {
		args = append(args, "--aptopt="+line)
	}
	made := filepath.Join(m.cache, "rootfs.tar")
	key := key(append(args, m.recipes.debian, m.recipes.date.String(), sources)...)
	if _, err := os.Stat(made); err != nil || !kept(made+".key", key) {
		if err := debootstrap(ctx, append(args, m.recipes.debian, made+".tmp", "-"), sources, m.recipes.epoch()); err != nil {
			return errors.Join(err, os.RemoveAll(made+".tmp"))
		}
		if err := errors.Join(os.RemoveAll(made+".key"), os.Rename(made+".tmp", made), os.WriteFile(made+".key", []byte(key), 0o644)); err != nil {
			return fmt.Errorf("keeping the root file system: %w", err)
		}
	}
	return os.Link(made, target)
}

// debootstrap runs mmdebstrap, which removes its own mounts and folders when
// it is asked to end.
func debootstrap(ctx context.Context, args []string, sources, epoch string) error {
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Stdin = strings.NewReader(sources)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the root file system: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// sourcesList is that of the release for the images, by the mirrors that this
// machine has for its own release.
func (m *maker) sourcesList(ctx context.Context) (string, error) {
	if m.sources != "" {
		text, err := os.ReadFile(m.sources)
		if err != nil {
			return "", fmt.Errorf("reading sources: %w", err)
		}
		return string(text), nil
	}
	format := "$(ORIGIN)\t$(COMPONENT)\t$(CREATED_BY)\t$(RELEASE)\t$(SITE)"
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", format).Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its mirrors: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 5 || f[0] != "Debian" || f[1] != "main" || f[2] != "Packages" {
			continue
		}
		_, part, _ := strings.Cut(f[3], "-")
		switch part {
		case "":
			lines = append(lines, fmt.Sprintf("deb %s %s main\n", f[4], m.recipes.debian))
		case "updates", "security":
			lines = append(lines, fmt.Sprintf("deb %s %s-%s main\n", f[4], m.recipes.debian, part))
		}
	}
	if len(lines) == 0 {
		return "", errors.New("apt knows no mirror of Debian; run apt-get update, or give --sources FILE")
	}
	return strings.Join(lines, ""), nil
}
