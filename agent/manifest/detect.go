package manifest

import (
	"fmt"
	"io/fs"
	"strings"

	"hks.dev/hks/agent"
)

// assumedPort is where a component is expected to listen when nothing in its
// source says so; hks tells it so in PORT.
const assumedPort = 8080

// maxEvidenceBytes bounds a finding's words.
const maxEvidenceBytes = 200

// Detection is what a folder of source was found to be, with the facts that a
// recipe for its image needs. All of it comes from the source: it is hostile
// text, apart from the words of Template, Kind and PackageManager. Paths are
// clean and inside the folder.
type Detection struct {
	Template Template `json:"template"`
	Kind     Kind     `json:"kind"`           // what it most likely is
	Port     int      `json:"port,omitempty"` // it most likely listens there; 0: a worker
	Evidence []string `json:"evidence"`       // what was found, in words, the strongest first

	Dockerfile string `json:"dockerfile,omitempty"`
	TestTarget string `json:"testTarget,omitempty"` // stage of the Dockerfile that is called test

	PackageManager string   `json:"packageManager,omitempty"` // npm, pnpm or yarn
	LockFile       string   `json:"lockFile,omitempty"`       // empty: versions are not pinned
	BuildScript    string   `json:"buildScript,omitempty"`    // script of package.json that builds
	StartCommand   []string `json:"startCommand,omitempty"`   // empty: none was found, or files are served
	Output         string   `json:"output,omitempty"`         // folder of the files to serve; "." is all
	GoMain         string   `json:"goMain,omitempty"`         // package to build, "." or ./cmd/NAME
	PythonEntry    string   `json:"pythonEntry,omitempty"`    // file with the application
	Requirements   string   `json:"requirements,omitempty"`   // requirements.txt or pyproject.toml
	TestCommand    []string `json:"testCommand,omitempty"`    // empty: no test was found
	Version        string   `json:"version,omitempty"`        // of the language, as the source asks for it

	assumed     bool // nothing says the port
	weak        bool // may as well be a part of something else
	coordinates bool // its scripts only run those of other folders
}

func (d *Detection) found(format string, args ...any) {
	d.Evidence = append(d.Evidence, oneLine(fmt.Sprintf(format, args...), maxEvidenceBytes))
}

// listens sets the port; 0 stands for one that nothing says.
func (d *Detection) listens(port int, where string) {
	if port == 0 {
		d.Port, d.assumed = assumedPort, true
		d.found("nothing says a port: %d is assumed, and given to it as PORT", assumedPort)
		return
	}
	d.Port = port
	d.found("%s: port %d", where, port)
}

// detectors in their order: the first that finds something wins.
var detectors = []func(folder) (*Detection, error){
	detectDockerfile, detectNode, detectGo, detectPython, detectStatic,
}

// Detect tells what a folder of source is. Its error is an agent.Error:
// NOT_FOUND for a folder that holds nothing that can be built, INVALID for a
// file in it that is damaged.
func Detect(fsys fs.FS) (Detection, error) {
	d, err := detect(folder{fsys})
	if err != nil {
		return Detection{}, err
	}
	if d == nil {
		return Detection{}, nothingFound()
	}
	return *d, nil
}

// DetectAs tells what a template finds in a folder, whatever else is in it;
// only the template where it finds nothing. Its error is that of Detect for a
// damaged file.
func DetectAs(fsys fs.FS, template Template) (Detection, error) {
	detectors := map[Template]func(folder) (*Detection, error){
		TemplateDockerfile: detectDockerfile, TemplateNode: detectNode, TemplateReact: detectNode,
		TemplateGo: detectGo, TemplatePython: detectPython, TemplateStatic: detectStatic,
	}
	var d *Detection
	if detector := detectors[template]; detector != nil {
		var err error
		if d, err = detector(folder{fsys}); err != nil {
			return Detection{}, err
		}
	}
	if d == nil {
		d = &Detection{}
	}
	d.Template = template
	return *d, nil
}

// detect is Detect with nil for nothing.
func detect(f folder) (*Detection, error) {
	for _, detector := range detectors {
		if d, err := detector(f); d != nil || err != nil {
			return d, err
		}
	}
	return nil, nil
}

func nothingFound() error {
	return agent.Errorf(agent.CodeNotFound, "write a Dockerfile, or give an image in "+FileName+": image: NAME:TAG",
		"nothing here can be built: there is no %s", strings.Join([]string{
			"Dockerfile", "package.json with a start script", "go.mod with a package main", "requirements.txt", "pyproject.toml", "main.py or index.html",
		}, ", "))
}
