package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// write makes the text of the file. All that came from the source is quoted,
// or in a comment on one line.
func (d *Draft) write() []byte {
	var b strings.Builder
	b.WriteString("# What the components of this app are, and how they are built and run.\n")
	b.WriteString("# Drafted by hks init from what it found; all keys: hks schema\n")
	fmt.Fprintf(&b, "app: %s\n\ncomponents:\n", d.App)
	for i, found := range d.Found {
		if i > 0 {
			b.WriteString("\n")
		}
		found.write(&b)
	}
	for _, note := range d.Notes {
		fmt.Fprintf(&b, "\n# Note: %s\n", note)
	}
	fmt.Fprintf(&b, "\n# What differs in an environment, merged into a component key by key:\n")
	fmt.Fprintf(&b, "# environments:\n#   production:\n#     components:\n#       %s: {replicas: 2}\n", d.Found[0].Name)
	return []byte(b.String())
}

func (f *Found) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %s:\n", f.Name)
	for _, evidence := range f.Evidence {
		fmt.Fprintf(b, "    # %s\n", evidence)
	}
	key := func(text, comment string) {
		if comment != "" {
			text = fmt.Sprintf("%-27s # %s", text, comment)
		}
		fmt.Fprintf(b, "    %s\n", text)
	}
	key("kind: "+string(f.Kind), "")
	build := "build: " + scalar(f.folder())
	if f.Dockerfile != "" && f.Dockerfile != "Dockerfile" {
		build = fmt.Sprintf("build: {folder: %s, dockerfile: %s}", scalar(f.folder()), scalar(f.Dockerfile))
	}
	key(build, "")
	if f.Port > 0 {
		comment := ""
		if f.assumed {
			comment = "assumed: change it if it listens elsewhere"
		}
		key(fmt.Sprintf("port: %d", f.Port), comment)
		comment = ""
		if f.Route != "/" {
			comment = "stays in the path: " + f.Route + "/x arrives as " + f.Route + "/x"
		}
		if f.Route != "" {
			key("route: "+f.Route, comment)
		}
		key("# health: /healthz", "ready once it answers; default: the port accepts connections")
	}
	switch {
	case f.TestTarget != "":
		key("test: {target: "+f.TestTarget+"}", "")
	case len(f.TestCommand) > 0:
		key("test: "+command(f.TestCommand), "")
	}
	if len(f.StartCommand) > 0 {
		key("# command: "+oneLine(command(f.StartCommand), maxEvidenceBytes), "what is started without this key")
	}
	if len(f.settings) > 0 {
		key("# secrets: ["+strings.Join(f.settings, ", ")+"]", "named in the example of its settings; or set them under env")
	}
}

func (f *Found) folder() string {
	if f.Folder == "." {
		return "."
	}
	return "./" + f.Folder
}

// command writes a list of words, as one text where that means the same.
func command(words []string) string {
	text := strings.Join(words, " ")
	if back, err := split(text); err == nil && len(back) == len(words) && !ambiguous().MatchString(text) && plainWord().MatchString(strings.ReplaceAll(text, " ", "")) {
		return text
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = scalar(word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plainWord is text that means itself in YAML, wherever it stands.
var plainWord = lazily(`^[A-Za-z./_][A-Za-z0-9./_=-]*$`)

// ambiguous are words that YAML may take for something else.
var ambiguous = lazily(`(?i)^(true|false|yes|no|on|off|y|n|null|\.inf|\.nan|[.0-9_]+)$`)

// scalar writes a text so that YAML reads the same: bare where that is clear,
// else in JSON's form, which YAML shares.
func scalar(text string) string {
	if text == "." || plainWord().MatchString(text) && !ambiguous().MatchString(text) {
		return text
	}
	quoted, err := json.Marshal(strings.ToValidUTF8(text, "?"))
	if err != nil {
		return `""` // a string always has a JSON form
	}
	return string(quoted)
}
