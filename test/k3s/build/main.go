// Command build makes the stand-in k3s: one file with everything in it, kept by content outside the checkout.
//
//	go run ./build -o FILE     build and copy to FILE
//	go run ./build -print      build and print where it is kept
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	out := flag.String("o", "", "where to put the finished program")
	show := flag.Bool("print", false, "print the kept program's path")
	flag.Parse()
	if err := run(*out, *show); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(out string, show bool) error {
	if out == "" && !show {
		return fmt.Errorf("give -o FILE or -print")
	}
	key, err := contentKey(".")
	if err != nil {
		return err
	}
	dir, err := cacheDir(key)
	if err != nil {
		return err
	}
	kept := filepath.Join(dir, "k3s")
	if _, err := os.Stat(kept); err != nil {
		if err := build(dir, kept); err != nil {
			return err
		}
	}
	if show {
		fmt.Println(kept)
	}
	if out != "" {
		return install(kept, out)
	}
	return nil
}

func build(dir, kept string) error {
	start := time.Now()
	parts, err := ensureParts()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	whole := filepath.Join(work, "k3s")
	if err := compile(whole, kube); err != nil {
		return err
	}
	if err := appendFile(whole, filepath.Join(parts, payloadName)); err != nil {
		return err
	}
	if err := os.Rename(whole, kept); err != nil {
		return err
	}
	say("k3s stand-in built in %s", time.Since(start).Round(time.Second))
	return nil
}

// ensureParts gives the folder with the payload, which changes seldom and so is kept by a key of its own.
func ensureParts() (string, error) {
	key, err := contentKey("go.mod", "go.sum", "build", "cmd/coredns", "cmd/pause")
	if err != nil {
		return "", err
	}
	dir, err := cacheDir("parts-" + key)
	if err != nil {
		return "", err
	}
	kept := filepath.Join(dir, payloadName)
	if _, err := os.Stat(kept); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for _, p := range parts {
		if err := compile(filepath.Join(work, p.into, p.name), p); err != nil {
			return "", err
		}
	}
	if err := makeImages(work); err != nil {
		return "", err
	}
	made := filepath.Join(work, payloadName)
	if err := packPayload(made, work); err != nil {
		return "", err
	}
	return dir, os.Rename(made, kept)
}

// install links or copies the kept program, replacing what is there in one step.
func install(from, to string) error {
	if a, err := os.Stat(from); err == nil {
		if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	tmp := to + ".tmp"
	os.Remove(tmp)
	if err := os.Link(from, tmp); err != nil {
		if err := copyFile(from, tmp); err != nil {
			return err
		}
	}
	return os.Rename(tmp, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
