// Command bundle packs a version of hks: programs, engine, images, a list of
// what they are made of, checksums and a signature, in one archive.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/installer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	set := flag.NewFlagSet("bundle", flag.ContinueOnError)
	keyFile := set.String("key", "", "file with the private key (ed25519 seed, base64); a development key is made when there is none")
	public := set.Bool("public", false, "print the public half of the key and stop")
	folder := set.String("folder", "", "folder with what is to be packed; it is sealed in place")
	version := set.String("version", "", "version that is packed")
	epoch := set.Int64("epoch", 0, "time of all files in the archive, Unix seconds")
	out := set.String("out", "", "archive to write (.tar.gz); its checksum is written beside it")
	if err := set.Parse(args); err != nil {
		return err
	}
	key, err := readKey(*keyFile)
	if err != nil {
		return err
	}
	if *public {
		fmt.Println(encodePublic(key))
		return nil
	}
	if err := writeSBOM(*folder, *version); err != nil {
		return err
	}
	if err := installer.SealBundle(*folder, key); err != nil {
		return err
	}
	return pack(*folder, *out, time.Unix(*epoch, 0).UTC())
}

// readKey reads the private key, and makes one where there is no such file.
func readKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	seed, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(text))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("reading the key: %s is not an ed25519 seed in base64", file)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func makeKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a development key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("making a development key: %w", err)
	}
	seed := base64.StdEncoding.EncodeToString(key.Seed()) + "\n"
	if err := os.WriteFile(file, []byte(seed), 0o600); err != nil {
		return nil, fmt.Errorf("making a development key: %w", err)
	}
	fmt.Fprintf(os.Stderr, "made a development key: %s\n", file)
	return key, nil
}

// encodePublic is the public half of key as it is compiled into hks-installer.
func encodePublic(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}
