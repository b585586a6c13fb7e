package build

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
)

// Bounds of reports: they come from a repository that may be hostile.
const (
	maxReports    = 16 << 20 // bytes of all files of a component
	maxTests      = 5000
	maxTestName   = 300
	maxTestWords  = 4 << 10
	maxReportFile = 200 // files
)

// readReports reads the JUnit files of a tar archive. What is no report is
// passed over; what is cut off is read as far as it goes.
func readReports(archive io.Reader, component string) ([]agent.TestCase, error) {
	in := tar.NewReader(io.LimitReader(archive, maxReports))
	var all []agent.TestCase
	for range maxReportFile {
		header, err := in.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("reading the reports of tests: %w", err)
		}
		if header.Typeflag != tar.TypeReg || !strings.EqualFold(filepath.Ext(header.Name), ".xml") {
			continue
		}
		all = append(all, parseJUnit(in, component, maxTests-len(all))...)
	}
	return all, nil
}

// parseJUnit reads one file: testcases, in whatever suites they are.
func parseJUnit(file io.Reader, component string, most int) []agent.TestCase {
	type words struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string `xml:"name,attr"`
		Class   string `xml:"classname,attr"`
		Time    string `xml:"time,attr"`
		Failure *words `xml:"failure"`
		Error   *words `xml:"error"`
		Skipped *words `xml:"skipped"`
	}
	decoder := xml.NewDecoder(file) // knows no entities but XML's own
	decoder.Strict = false
	var all []agent.TestCase
	var suites []string
	for len(all) < most {
		token, err := decoder.Token()
		if err != nil {
			return all // the end, or no XML any more
		}
		switch token := token.(type) {
		case xml.EndElement:
			if token.Name.Local == "testsuite" && len(suites) > 0 {
				suites = suites[:len(suites)-1]
			}
		case xml.StartElement:
			switch token.Name.Local {
			case "testsuite":
				name := ""
				for _, a := range token.Attr {
					if a.Name.Local == "name" {
						name = a.Value
					}
				}
				if suites = append(suites, name); len(suites) > 100 {
					return all
				}
			case "testcase":
				var c testcase
				if decoder.DecodeElement(&c, &token) != nil {
					return all
				}
				t := agent.TestCase{Component: component, Suite: short(cmp.Or(c.Class, last(suites)), maxTestName), Name: short(cmp.Or(c.Name, "?"), maxTestName), Outcome: agent.TestPassed}
				if s, err := strconv.ParseFloat(strings.ReplaceAll(c.Time, ",", ""), 64); err == nil && s >= 0 && !math.IsInf(s, 0) {
					t.Seconds = min(s, 1e6)
				}
				switch bad := cmp.Or(c.Failure, c.Error); {
				case bad != nil:
					t.Outcome = agent.TestFailed
					t.Message = short(strings.TrimSpace(bad.Message+"\n"+strings.TrimSpace(bad.Text)), maxTestWords)
				case c.Skipped != nil:
					t.Outcome, t.Message = agent.TestSkipped, short(strings.TrimSpace(c.Skipped.Message), maxTestWords)
				}
				all = append(all, t)
			}
		}
	}
	return all
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// short cuts a stranger's text, without characters that control a screen.
func short(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// testsFile holds the tests of a build, in its folder.
const testsFile = "tests.json"

func writeTests(folder string, all []agent.TestCase) error {
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("writing the reports of tests: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, testsFile), data, 0o600); err != nil {
		return fmt.Errorf("keeping the reports of tests: %w", err)
	}
	return nil
}

func readTests(folder string) ([]agent.TestCase, error) {
	data, err := os.ReadFile(filepath.Join(folder, testsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var all []agent.TestCase
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the reports of tests: %w", err)
	}
	return all, nil
}
