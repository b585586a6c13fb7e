package manifest

import (
	"io/fs"
	"path"
	"slices"

	"hks.dev/hks/agent"
)

// Read parses the file of a project's folder and checks that the source which
// it names is there. Its errors are those of Parse, and NOT_FOUND when there
// is no file. Open the folder as an os.Root, so that links can't lead out.
func Read(fsys fs.FS) (*Project, error) {
	f := folder{fsys}
	text, ok, err := f.readUpTo(FileName, MaxBytes+1) // one more, so that Parse sees it
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, agent.Errorf(agent.CodeNotFound, "write one from what is in the folder: hks init", "there is no %s", FileName)
	}
	p, err := Parse(text)
	if err != nil {
		return nil, err
	}
	r := &reader{}
	for _, env := range environments {
		all := p.document.resolve(env)
		for _, name := range p.document.Components.sorted() {
			if build := all[name].Build; build != nil {
				build.checkSource(r, f)
			}
		}
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// checkSource tells what a build names that is not there.
func (b *buildBlock) checkSource(r *reader, f folder) {
	dir, at := ".", b.place
	if b.Folder != nil {
		dir, at = b.Folder.value, b.Folder.place
	}
	if info, err := fs.Stat(f.FS, dir); err != nil || !info.IsDir() {
		fix := "correct the path"
		if near := agent.Nearest(path.Base(dir), baseNames(f.dirs(path.Dir(dir)))); near != "" {
			fix = "did you mean " + shown(path.Join(path.Dir(dir), near)) + "?"
		}
		r.add(at, fix, "there is no folder %q in the project", shown(dir))
		return
	}
	if b.Dockerfile != nil && !f.has(path.Join(dir, b.Dockerfile.value)) {
		r.add(b.Dockerfile.place, "correct the path: it is relative to the folder of the build", "there is no file %q in the folder %q", shown(b.Dockerfile.value), shown(dir))
	}
}

func baseNames(paths []string) []string {
	names := slices.Clone(paths)
	for i := range names {
		names[i] = path.Base(names[i])
	}
	return names
}
