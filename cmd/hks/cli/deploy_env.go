package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"hks.dev/hks/agent"
)

// envOptions are the flags about environment variables. Files come first, in
// their order, then the pairs; messages never hold a value.
type envOptions struct {
	pairs []string
	files []string
	unset []string
	stdin io.Reader
}

// read returns the variables given, nil when there are none.
func (o *envOptions) read() (map[string]string, error) {
	if len(o.pairs)+len(o.files) == 0 {
		return nil, o.checkUnset()
	}
	env := make(map[string]string)
	for _, file := range o.files {
		if err := o.readFile(file, env); err != nil {
			return nil, err
		}
	}
	for _, pair := range o.pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("write it as --env KEY=VALUE", "--env %s has no value", fit(pair, 40))
		}
		if err := agent.ValidateEnvName(key); err != nil {
			return nil, asUsage(err)
		}
		env[key] = value
	}
	return env, o.checkUnset()
}

func (o *envOptions) checkUnset() error {
	for _, key := range o.unset {
		if err := agent.ValidateEnvName(key); err != nil {
			return asUsage(err)
		}
	}
	return nil
}

func (o *envOptions) readFile(name string, env map[string]string) error {
	if name == "-" {
		return parseEnvFile("standard input", o.stdin, env)
	}
	file, err := os.Open(name)
	if err != nil {
		return usagef("check the name of the file", "the variables can't be read: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	return parseEnvFile(name, file, env)
}

// parseEnvFile reads KEY=VALUE lines. Empty lines and those that begin with #
// are skipped, export may stand before the key, and quotes around the whole
// value are taken off.
func parseEnvFile(name string, r io.Reader, env map[string]string) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key = strings.TrimSpace(key)
		if !ok || agent.ValidateEnvName(key) != nil {
			return usagef("write each line as KEY=VALUE; KEY has letters, digits and underscores and does not begin with a digit",
				"line %d of %s is not KEY=VALUE", number, name)
		}
		env[key] = unquote(strings.TrimSpace(value))
	}
	if err := lines.Err(); err != nil {
		return usagef("check that it is a text file of KEY=VALUE lines", "%s can't be read: %w", name, fmt.Errorf("%w", err))
	}
	return nil
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// patch is what is given as a change of what there is by then; nil when nothing
// is.
func (o *envOptions) patch(given map[string]string) *agent.EnvPatch {
	if len(given) == 0 && len(o.unset) == 0 {
		return nil // all stay as they are
	}
	return &agent.EnvPatch{Set: given, Unset: o.unset}
}
