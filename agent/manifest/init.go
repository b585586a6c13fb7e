package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// Draft is a first hks.yaml for a folder of source.
type Draft struct {
	App   string   `json:"app"`
	Found []Found  `json:"found"`           // the components, sorted by name
	Notes []string `json:"notes,omitempty"` // what its reader should know
	YAML  []byte   `json:"-"`               // the file: commented, and accepted by Parse
}

// Found is a component that was found.
type Found struct {
	Name   string `json:"name"`
	Folder string `json:"folder"` // of its source, "." is the project
	Route  string `json:"route,omitempty"`
	Detection

	settings []string // names in an example of its environment
}

// Slug makes a name for an app or a component of any text, such as a folder's
// name; "" when nothing of it can be used.
func Slug(text string) string {
	text = strings.TrimLeft(notInNames().ReplaceAllString(strings.ToLower(text), "-"), "-0123456789")
	return strings.TrimRight(text[:min(len(text), longestSlug)], "-")
}

var notInNames = lazily(`[^a-z0-9]+`)

const longestSlug = 20 // two of them are within the bound for app and component

// Init looks at a folder, and at its folders one and two levels deep, and
// drafts the file. Its errors are those of Detect, and INVALID for a name that
// no app can have.
func Init(fsys fs.FS, name string) (Draft, error) {
	if err := agent.ValidateName("application", name); err != nil {
		return Draft{}, err
	}
	s := &search{f: folder{fsys}, app: name}
	if err := s.run(); err != nil {
		return Draft{}, err
	}
	if len(s.found) == 0 {
		return Draft{}, nothingFound()
	}
	s.settle()
	d := Draft{App: name, Found: s.found, Notes: s.notes}
	d.YAML = d.write()
	if _, err := Parse(d.YAML); err != nil {
		return Draft{}, fmt.Errorf("drafting %s: %w", FileName, err)
	}
	return d, nil
}

// maxFolders bounds how many folders a search looks at.
const maxFolders = 300

// search collects the components of a project.
type search struct {
	f      folder
	app    string
	looked int
	found  []Found
	notes  []string
}

// note keeps what the reader of the draft should know, once.
func (s *search) note(format string, args ...any) {
	if text := oneLine(fmt.Sprintf(format, args...), maxEvidenceBytes); !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// run looks at the project's own folder first. Where its recipe is a
// Dockerfile, or its scripts run other folders, that decides about the rest.
func (s *search) run() error {
	root, err := detect(s.f)
	if err != nil {
		return err
	}
	if root != nil && root.Template == TemplateDockerfile {
		s.add(".", root)
		return nil
	}
	strong := root != nil && !root.weak && !root.coordinates
	if err := s.below(".", 1, strong); err != nil {
		return err
	}
	switch {
	case root == nil:
	case root.coordinates && len(s.found) > 0:
		if root.LockFile != "" {
			s.note("%s in the project's folder holds the versions of all packages; a component's folder is built by itself and does not see it", root.LockFile)
		}
	case root.weak && len(s.found) > 0 && root.Template != TemplateStatic:
	default:
		s.add(".", root)
	}
	return nil
}

// below looks at the folders of dir, and at theirs when they are no component
// themselves. What is weak counts only where nothing above is strong.
func (s *search) below(dir string, depth int, strong bool) error {
	for _, name := range s.f.dirs(dir) {
		if s.looked++; s.looked > maxFolders {
			s.note("only the first %d folders were looked at", maxFolders)
			return nil
		}
		sub, err := fs.Sub(s.f.FS, name)
		if err != nil {
			return fmt.Errorf("looking into %s: %w", name, err)
		}
		d, err := detect(folder{sub})
		if err != nil {
			return inFolder(name, err)
		}
		switch {
		case d != nil && !d.coordinates && (!d.weak || !strong):
			s.add(name, d)
		case depth < 2:
			if err := s.below(name, depth+1, strong); err != nil {
				return err
			}
		}
	}
	return nil
}

// inFolder puts the folder into the words of an error.
func inFolder(name string, err error) error {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return agent.Errorf(e.Code, e.Fix, "in %s: %w", shown(name), e)
	}
	return fmt.Errorf("in %s: %w", name, err)
}

func (s *search) add(dir string, d *Detection) {
	if len(s.found) == maxComponents {
		s.note("more than %d components were found, the others are left out", maxComponents)
		return
	}
	found := Found{Name: s.name(dir, d), Folder: dir, Detection: *d}
	if working().MatchString(found.Name) && d.assumed {
		found.Kind, found.Port = KindWorker, 0
		found.Evidence = append(slices.DeleteFunc(slices.Clone(d.Evidence), func(e string) bool { return strings.HasPrefix(e, "nothing says") }),
			"by its name it is a worker: nothing listens")
	}
	found.settings = settings(s.f, dir)
	s.found = append(s.found, found)
}

// working are names of components that answer no requests.
var working = lazily(`^(workers?|jobs?|queue|consumers?|cron|scheduler|bot)$|-(worker|consumer|jobs)$`)

// name is the folder's; the project's own folder is the app's only component
// under the name that it has without a file, or it is the backend.
func (s *search) name(dir string, d *Detection) string {
	candidates := []string{Slug(path.Base(dir)), Slug(strings.ReplaceAll(dir, "/", "-"))}
	if dir == "." {
		candidates = []string{agent.DefaultComponent, string(d.Kind), "main"}
		if len(s.found) > 0 {
			candidates = candidates[1:]
		}
	}
	for i := 1; ; i++ {
		for _, name := range candidates {
			if _, err := agent.ParseEnvironment(name); err == nil { // also the empty name
				continue
			}
			if len(s.app)+len(name) <= agent.MaxNameLength && !slices.ContainsFunc(s.found, func(f Found) bool { return f.Name == name }) {
				return name
			}
		}
		candidates = []string{fmt.Sprintf("c%d", i)}
	}
}

// settle sorts the components and gives each its route: the first frontend is
// at /, and what else listens gets a prefix as soon as a page is there to call
// it. Without a page the only one that listens needs no word, and of several
// one is reached.
func (s *search) settle() {
	slices.SortFunc(s.found, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	var pages, listening []*Found
	for i := range s.found {
		found := &s.found[i]
		if found.Port > 0 {
			listening = append(listening, found)
			if found.Kind == KindFrontend {
				pages = append(pages, found)
			}
		}
	}
	if len(listening) < 2 {
		return
	}
	taken := map[string]bool{}
	give := func(f *Found, paths ...string) {
		for _, p := range paths {
			if !taken[p] && f.Route == "" {
				f.Route, taken[p] = p, true
			}
		}
	}
	if len(pages) == 0 {
		give(listening[0], "/")
		s.note("%s is reached from outside, the others inside only: give them a route if they should be", listening[0].Name)
		return
	}
	for _, f := range pages {
		give(f, "/", "/"+f.Name)
	}
	for _, f := range listening {
		give(f, "/api", "/"+f.Name)
	}
}

var exampleLine = lazily(`(?m)^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,60})=`)

// settings are the names in a folder's example of its environment.
func settings(f folder, dir string) []string {
	var names []string
	name := f.first(path.Join(dir, ".env.example"), path.Join(dir, ".env.sample"), path.Join(dir, ".env.template"))
	if name == "" {
		return nil
	}
	for _, m := range exampleLine().FindAllStringSubmatch(f.glance(name), 30) {
		if m[1] != "PORT" && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}
