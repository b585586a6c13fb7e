package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// contentKey is the hash of sources of this module and of the compiler.
func contentKey(roots ...string) (string, error) {
	if _, err := os.Stat("apt-packages"); err != nil {
		return "", fmt.Errorf("run this in the stand-in's module folder: %w", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH)
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !counts(path) {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			fmt.Fprintln(h, path)
			_, err = io.Copy(h, f)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:24], nil
}

func counts(path string) bool {
	switch filepath.Ext(path) {
	case ".go":
		return !strings.HasSuffix(path, "_test.go")
	case ".mod", ".sum", ".yaml":
		return true
	}
	return false
}

func cacheDir(key string) (string, error) {
	base := os.Getenv("HKS_CACHE")
	if base == "" {
		user, err := os.UserCacheDir() // knows XDG_CACHE_HOME
		if err != nil {
			return "", err
		}
		base = filepath.Join(user, "hks")
	}
	return filepath.Join(base, "k3s-standin", key), nil
}
