package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pins is the content of the file versions.
type pins struct {
	date   time.Time
	debian string // release
	golang string
	npm    map[string]npmPin
}

type npmPin struct{ version, integrity string }

func recipes(path string) (pins, error) {
	file, err := os.Open(path)
	if err != nil {
		return pins{}, fmt.Errorf("run this in the folder packaging/images: %w", err)
	}
	defer file.Close()
	p := pins{npm: map[string]npmPin{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		switch words := strings.Fields(line); {
		case len(words) == 0:
		case len(words) == 2 && words[0] == "date":
			if p.date, err = time.Parse(time.DateOnly, words[1]); err != nil {
				return pins{}, fmt.Errorf("reading %s: %w", path, err)
			}
		case len(words) == 2 && words[0] == "debian":
			p.debian = words[1]
		case len(words) == 2 && words[0] == "go":
			p.golang = words[1]
		case len(words) == 4 && words[0] == "npm":
			p.npm[words[1]] = npmPin{words[2], words[3]}
		default:
			return pins{}, fmt.Errorf("%s: a line that says nothing known: %q", path, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return pins{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if p.date.IsZero() || p.debian == "" || p.golang == "" {
		return pins{}, fmt.Errorf("%s lacks date, debian or go", path)
	}
	return p, nil
}

func (p pins) epoch() string { return strconv.FormatInt(p.date.Unix(), 10) }

// of lists what an image has beside Debian's packages, as name=version.
func (p pins) of(img image) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Values(img.npm)) {
		list = append(list, name+"="+p.npm[name].version)
	}
	if img.toolchain {
		list = append(list, "go="+p.golang)
	}
	return list
}
