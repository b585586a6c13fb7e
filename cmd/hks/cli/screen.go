package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// screen is where a command reads and writes: results go to out, all the rest
// (progress, questions, notes, errors) to err.
type screen struct {
	in       *os.File
	out      io.Writer
	err      io.Writer
	style    style // for out
	errStyle style // for err
	inTTY    bool
	outTTY   bool
	errTTY   bool
	width    int // of the terminal behind err
}

func newScreen(in, out, err *os.File, getenv func(string) string) *screen {
	s := &screen{
		in: in, out: out, err: err, width: 80,
		inTTY: isTerminal(in), outTTY: isTerminal(out), errTTY: isTerminal(err),
	}
	colours := getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	s.style, s.errStyle = style{on: colours && s.outTTY}, style{on: colours && s.errTTY}
	if s.errTTY {
		if width, _, e := term.GetSize(int(err.Fd())); e == nil && width > 20 {
			s.width = width
		}
	}
	return s
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// print writes a line of the result.
func (s *screen) print(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// note writes a line for the person who watches.
func (s *screen) note(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }

// printJSON writes v as indented JSON.
func (s *screen) printJSON(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// printJSONLine writes v as one line of JSON, for streams.
func (s *screen) printJSONLine(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// ask puts a question and returns the answer without surrounding space.
func (s *screen) ask(question string) (string, error) {
	fmt.Fprint(s.err, question)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil {
		fmt.Fprintln(s.err)
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// askSecret puts a question and reads the answer without showing it.
func (s *screen) askSecret(question string) (string, error) {
	fmt.Fprint(s.err, question)
	data, err := term.ReadPassword(int(s.in.Fd()))
	fmt.Fprintln(s.err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(data), nil
}
