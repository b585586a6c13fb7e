// Command solve builds a folder with a Dockerfile on a machine without a
// running builder, with images of this folder's layouts as bases.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hks.dev/hks/packaging/images/internal/builder"
)

func main() {
	builder.Inside()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "solve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var job builder.Job
	root := flag.String("root", "", "folder of the daemon's state; a later run finds its cache there")
	program := flag.String("buildkitd", "", "the daemon; default: built from this module")
	layouts := flag.String("layouts", "", "folder with the base images' layouts")
	ca := flag.String("ca", "", "file with certificates, offered to steps as the secret ca")
	archive := flag.String("archive", "", "file that gets the image")
	limit := flag.Duration("limit", 20*time.Minute, "how long it may take")
	flag.StringVar(&job.Context, "context", ".", "folder to build")
	flag.StringVar(&job.Dockerfile, "dockerfile", "", "default: Dockerfile in the context")
	flag.StringVar(&job.Target, "target", "", "stage to build; default: the last")
	flag.StringVar(&job.Name, "name", "registry.hks.internal/built:1", "name of the image")
	flag.Parse()
	if *root == "" {
		return errors.New("give --root FOLDER")
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()

	if *ca != "" {
		bundle, err := os.ReadFile(*ca)
		if err != nil {
			return fmt.Errorf("reading certificates: %w", err)
		}
		job.Secrets = map[string][]byte{"ca": bundle}
	}
	if *layouts != "" {
		if job.Bases, err = bases(*layouts); err != nil {
			return err
		}
	}
	if *archive != "" {
		if job.Layout, err = os.MkdirTemp(*root, "layout-"); err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(job.Layout)) }()
	}
	if *program == "" {
		*program = filepath.Join(*root, "buildkitd")
		if err := builder.Compile(ctx, *program); err != nil {
			return err
		}
	}
	daemon, err := builder.Start(ctx, *program, *root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, daemon.Stop()) }()
	job.Log = func(line string) { fmt.Println(line) }
	start := time.Now()
	if err := daemon.Build(ctx, job); err != nil {
		return err
	}
	fmt.Printf("built in %s\n", time.Since(start).Round(10*time.Millisecond))
	if *archive == "" {
		return nil
	}
	return builder.Archive(job.Layout, *archive)
}

// bases finds the layouts NAME-TAG of hks's own images.
func bases(folder string) (map[string]string, error) {
	found, err := filepath.Glob(filepath.Join(folder, "*", "index.json"))
	if err != nil {
		return nil, fmt.Errorf("listing layouts: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New(folder + " holds no layouts; make them with make images")
	}
	images := map[string]string{}
	for _, index := range found {
		layout := filepath.Dir(index)
		name, tag, _ := strings.Cut(filepath.Base(layout), "-")
		images["registry.hks.internal/hks/"+name+":"+tag] = layout
	}
	return images, nil
}
