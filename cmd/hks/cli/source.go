package cli

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/manifest"
)

// neverSent are left out of a source whose folder has no .dockerignore: what
// tools make again from the rest.
var neverSent = []string{".git", "**/.git", "node_modules", "**/node_modules", ".venv", "**/.venv", "__pycache__", "**/__pycache__"}

// source is a project's folder as it is sent to be built.
type source struct {
	root    *os.Root
	project *manifest.Project // nil: there is no hks.yaml
}

// openSource reads the project's file, so that what is wrong with it is told
// before anything is sent.
func openSource(folder string) (*source, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, usagef("name the folder of the project", "the source can't be opened: %w", err)
	}
	s := &source{root: root}
	s.project, err = manifest.Read(root.FS())
	if agent.CodeOf(err) == agent.CodeNotFound {
		return s, nil
	}
	if err != nil {
		return nil, errors.Join(asUsage(err), root.Close())
	}
	return s, nil
}

// folders are those that are built; the others need not be sent. recipes are
// the Dockerfiles that the project's file names: they are sent even where a
// .dockerignore leaves them out.
func (s *source) folders(env agent.Environment) (folders, recipes []string, err error) {
	if s.project == nil {
		return []string{"."}, nil, nil
	}
	components, err := s.project.Components(env)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range components {
		if c.Build == nil {
			continue
		}
		if !slices.Contains(folders, c.Build.Folder) {
			folders = append(folders, c.Build.Folder)
		}
		if c.Build.Dockerfile != "" {
			recipes = append(recipes, path.Join(c.Build.Folder, c.Build.Dockerfile))
		}
	}
	return folders, recipes, nil
}

// recipes are the Dockerfiles that the file names: they are sent even where
// .dockerignore leaves them out.
func (s *source) recipes(env agent.Environment) []string {
	if s.project == nil {
		return nil
	}
	components, err := s.project.Components(env)
	if err != nil {
		return nil // told by folders
	}
	var names []string
	for _, c := range components {
		if c.Build != nil && c.Build.Dockerfile != "" {
			names = append(names, path.Join(c.Build.Folder, c.Build.Dockerfile))
		}
	}
	return names
}

// pack writes the source as a compressed tar archive.
func (s *source) pack(env agent.Environment, out io.Writer) error {
	folders, recipes, err := s.folders(env)
	if err != nil {
		return err
	}
	zipped, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("packing the source: %w", err)
	}
	p := packing{root: s.root, out: tar.NewWriter(zipped), packed: map[string]bool{}}
	if s.project != nil {
		recipes = append(recipes, manifest.FileName)
	}
	for _, name := range recipes {
		if err := p.add(name); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := p.folder(folder); err != nil {
			return err
		}
	}
	for _, recipe := range s.recipes(env) {
		if err := p.add(recipe); err != nil {
			return err
		}
	}
	if err := errors.Join(p.out.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("packing the source: %w", err)
	}
	return nil
}

type packing struct {
	root   *os.Root
	out    *tar.Writer
	packed map[string]bool
}

// folder packs what a build of the folder may see.
func (p *packing) folder(folder string) error {
	ignore, err := p.ignored(folder)
	if err != nil {
		return err
	}
	return fs.WalkDir(p.root.FS(), folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return usagef("see that it can be read, or leave it out in a .dockerignore", "%s can't be packed: %w", name, err)
		}
		within, ok := relative(folder, name)
		if !ok {
			return nil
		}
		skip, err := ignore.MatchesOrParentMatches(within)
		if err != nil {
			return usagef("correct it", "a pattern of .dockerignore is not valid: %w", err)
		}
		switch {
		case skip && entry.IsDir() && !ignore.Exclusions():
			return fs.SkipDir
		case skip && within != ".dockerignore" && within != "Dockerfile":
			return nil
		case entry.IsDir():
			return nil // made by what is in it
		}
		return p.add(name)
	})
}

// relative is a name within a folder; false for the folder itself.
func relative(folder, name string) (string, bool) {
	if name == folder {
		return "", false
	}
	if folder == "." {
		return name, true
	}
	return name[len(folder)+1:], true
}

// ignored are the patterns of the folder's .dockerignore, else those of what
// is never sent.
func (p *packing) ignored(folder string) (*patternmatcher.PatternMatcher, error) {
	patterns := neverSent
	file, err := p.root.Open(path.Join(folder, ".dockerignore"))
	if err == nil {
		defer func() { _ = file.Close() }() // only read from
		patterns, err = ignorefile.ReadAll(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("correct it", "%s can't be read: %w", path.Join(folder, ".dockerignore"), err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, usagef("correct it", "%s has a pattern that is not valid: %w", path.Join(folder, ".dockerignore"), err)
	}
	return matcher, nil
}

// add packs one file or link.
func (p *packing) add(name string) error {
	if p.packed[name] {
		return nil
	}
	p.packed[name] = true
	info, err := p.root.Lstat(name)
	if err != nil {
		return usagef("see that it can be read", "%s can't be packed: %w", name, err)
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = p.root.Readlink(name); err != nil {
			return usagef("see that it can be read", "%s can't be packed: %w", name, err)
		}
	case !info.Mode().IsRegular():
		return usagef("leave it out in a .dockerignore", "%s is no file, folder or link", name)
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	if err := p.out.WriteHeader(header); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	if link != "" {
		return nil
	}
	file, err := p.root.Open(name)
	if err != nil {
		return usagef("see that it can be read", "%s can't be packed: %w", name, err)
	}
	defer func() { _ = file.Close() }() // only read from
	if _, err := io.CopyN(p.out, file, header.Size); err != nil {
		return usagef("try again when nothing writes to it", "%s can't be packed: %w", name, err)
	}
	return nil
}
