package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// revision goes up when this program makes other images of the same recipes.
const revision = 1

func key(parts ...string) string {
	hash := sha256.New()
	fmt.Fprintln(hash, revision, runtime.GOARCH)
	for _, part := range parts {
		fmt.Fprintf(hash, "%q\n", part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// folderKey is the hash of a recipe's files.
func folderKey(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("reading a recipe: %w", err)
	}
	hash := sha256.New()
	for _, entry := range entries {
		file, err := os.Open(filepath.Join(folder, entry.Name()))
		if err != nil {
			return "", fmt.Errorf("reading a recipe: %w", err)
		}
		fmt.Fprintln(hash, entry.Name())
		_, err = io.Copy(hash, file)
		file.Close()
		if err != nil {
			return "", fmt.Errorf("reading a recipe: %w", err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// kept says whether a file beside something made holds this key.
func kept(path, key string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.TrimSpace(string(text)) == key
}
