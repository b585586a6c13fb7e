package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

type initOptions struct {
	*session
	folder string
	name   string
	force  bool
	print  bool
}

func newInitCommand(s *session) *cobra.Command {
	o := initOptions{session: s}
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Look at a folder of source and write its hks.yaml",
		Long: `Look at a folder of source, find the components in it, and write hks.yaml, which says
how each is built and run. Nothing is built or sent anywhere.

It knows Dockerfiles, Node.js, pages that Node.js builds (React and others), Go, Python
and static files, in the folder itself and up to two folders below.`,
		Example: `  hks init
  hks init ./shop --name shop
  hks init --print`,
		Args:              takes("[FOLDER]"),
		ValidArgsFunction: completeFolder,
		RunE: func(_ *cobra.Command, args []string) error {
			o.folder = "."
			if len(args) > 0 {
				o.folder = args[0]
			}
			return o.run()
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "the application's name (default: the folder's)")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the hks.yaml that is there")
	cmd.Flags().BoolVar(&o.print, "print", false, "print it instead of writing it")
	return cmd
}

func completeFolder(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func (o *initOptions) run() error {
	if o.name == "" {
		o.name = nameOfFolder(o.folder)
	} else if err := agent.ValidateName("application", o.name); err != nil {
		return asUsage(err)
	}
	root, err := os.OpenRoot(o.folder) // links in it can't lead out
	if err != nil {
		return usagef("name a folder of source: hks init FOLDER", "the folder can't be read: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it later
	if err := o.free(root); err != nil {
		return err
	}
	draft, err := manifest.Init(root.FS(), o.name)
	if err != nil {
		return err
	}
	if !o.print {
		if err := place(root, manifest.FileName, draft.YAML); err != nil {
			return err
		}
	}
	return o.show(draft)
}

// nameOfFolder makes an application's name of a folder's.
func nameOfFolder(folder string) string {
	if absolute, err := filepath.Abs(folder); err == nil {
		folder = absolute
	}
	return cmp.Or(manifest.Slug(filepath.Base(folder)), "app")
}

// free refuses to write over a file that is there.
func (o *initOptions) free(root *os.Root) error {
	if o.print || o.force {
		return nil
	}
	_, err := root.Lstat(manifest.FileName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking for %s: %w", manifest.FileName, err)
	}
	return agent.Errorf(agent.CodeConflict, "look at another: hks init --print\nor replace it: hks init --force",
		"%s is there already", filepath.Join(o.folder, manifest.FileName))
}

// place writes a file of the project in one step.
func place(root *os.Root, name string, data []byte) error {
	temp := "." + name + ".tmp"
	_ = root.Remove(temp) // of a run that was cut off
	file, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return agent.Errorf(agent.CodeForbidden, "give yourself the right to write there, or look at it: hks init --print", "%s can't be written: %w", name, err)
	}
	defer func() { _ = root.Remove(temp) }() // gone after the rename
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (o *initOptions) show(draft manifest.Draft) error {
	path := filepath.Join(o.folder, manifest.FileName)
	if o.json {
		answer := struct {
			File    string `json:"file"`
			Written bool   `json:"written"`
			manifest.Draft
			Text string `json:"text"`
		}{path, !o.print, draft, string(draft.YAML)}
		return o.screen.printJSON(answer)
	}
	if o.print {
		o.screen.print("%s", draft.YAML[:len(draft.YAML)-1]) // print ends the line
		return nil
	}
	for _, found := range draft.Found {
		o.screen.print("%s: %s", o.screen.style.bold(found.Name), describe(found))
		for _, evidence := range found.Evidence {
			o.screen.print("  %s", o.screen.style.dim(oneLine(evidence)))
		}
	}
	for _, note := range draft.Notes {
		o.screen.note("note: %s", oneLine(note))
	}
	o.screen.note("%s is written; look it through, then deploy it: hks deploy", clean(path))
	return nil
}

// describe says what a component was found to be.
func describe(found manifest.Found) string {
	text := string(found.Kind) + " in " + oneLine(found.Folder) + ", " + string(found.Template)
	if found.Port > 0 {
		text += fmt.Sprintf(", port %d", found.Port)
	}
	if found.Route != "" {
		text += ", reached at " + found.Route
	}
	return text
}
