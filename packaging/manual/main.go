// Command manual writes the manual pages of the commands and the completions
// for shells, for packages.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"hks.dev/hks/cmd/hks/cli"
	"hks.dev/hks/installer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	set := flag.NewFlagSet("manual", flag.ContinueOnError)
	out := set.String("out", "", "folder for man1/ and the completions")
	version := set.String("version", "dev", "version that the pages name")
	epoch := set.Int64("epoch", 0, "date of the pages, Unix seconds")
	if err := set.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(*out, "man1"), 0o755); err != nil {
		return err
	}
	root := cli.Root(*version)
	date := time.Unix(*epoch, 0).UTC()
	for _, cmd := range []*cobra.Command{root, installer.Root(*version)} {
		if err := pages(cmd, filepath.Join(*out, "man1"), *version, date); err != nil {
			return err
		}
	}
	return completions(root, *out)
}

// pages writes a page for a command and for each one below it.
func pages(cmd *cobra.Command, folder, version string, date time.Time) error {
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			if err := pages(child, folder, version, date); err != nil {
				return err
			}
		}
	}
	cmd.DisableAutoGenTag = true
	name := bytes.ReplaceAll([]byte(cmd.CommandPath()), []byte(" "), []byte("-"))
	var page bytes.Buffer
	if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Date: &date, Source: "hks " + version, Manual: "hks"}, &page); err != nil {
		return fmt.Errorf("writing the page of %s: %w", name, err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(page.Bytes())
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, string(name)+".1.gz"), packed.Bytes(), 0o644)
}

func completions(root *cobra.Command, folder string) error {
	return errors.Join(
		root.GenBashCompletionFileV2(filepath.Join(folder, "hks.bash"), true),
		root.GenZshCompletionFile(filepath.Join(folder, "_hks")),
		root.GenFishCompletionFile(filepath.Join(folder, "hks.fish"), true),
	)
}
