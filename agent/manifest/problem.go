package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// Problem is one mistake in the file.
type Problem struct {
	Line    int    `json:"line"`           // from 1
	Column  int    `json:"column"`         // in characters, from 1
	Path    string `json:"path,omitempty"` // of keys, such as components.web.port
	Message string `json:"message"`        // what is wrong
	Fix     string `json:"fix,omitempty"`  // what to write instead
}

// String puts the place first, as compilers do.
func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", FileName, p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", FileName, p.Line, p.Column, p.Path, p.Message)
}

// maxTold is how many problems an error tells.
const maxTold = 10

// problems collects mistakes, each place and message once.
type problems struct {
	list []Problem
	seen map[Problem]bool
}

func (p *problems) add(at place, fix, format string, args ...any) {
	problem := Problem{Line: at.line, Column: at.column, Path: at.path, Message: fmt.Sprintf(format, args...), Fix: fix}
	if p.seen[problem] {
		return
	}
	if p.seen == nil {
		p.seen = map[Problem]bool{}
	}
	p.seen[problem] = true
	p.list = append(p.list, problem)
}

// err is the one error about all of them, in the order of the file; nil when
// there are none.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	told := p.list[:min(len(p.list), maxTold)]
	var lines, fixes []string
	for _, problem := range told {
		lines = append(lines, problem.String())
		if problem.Fix != "" && !slices.Contains(fixes, problem.Fix) {
			fixes = append(fixes, problem.Fix)
		}
	}
	if more := len(p.list) - len(told); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	if len(fixes) == 0 {
		fixes = []string{"correct " + FileName + "; hks schema prints what may be in it"}
	}
	return &agent.Error{
		Code:    agent.CodeInvalid,
		Message: strings.Join(lines, "\n"),
		Fix:     strings.Join(fixes, "\n"),
		Details: map[string]any{"file": FileName, "problems": told, "count": len(p.list)},
	}
}
