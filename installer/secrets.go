package installer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent/store"
)

// removed stands where a secret was.
const removed = "[removed]"

// shortSecret is how long a value must be, in bytes, to be looked for: shorter
// ones are words that are everywhere.
const shortSecret = 8

// secretKey names settings whose values are secrets.
var secretKey = regexp.MustCompile(`(?i)(token|password|passwd|secret|client-key-data|private-?key|datastore-endpoint|credential|api-?key)`)

// plainWord is what settings are often made of, such as production: without
// it nothing could be read any more.
var plainWord = regexp.MustCompile(`^[a-z]{1,12}$`)

// plainKey names what is kept beside secrets without being one.
var plainKey = regexp.MustCompile(`(?i)(host|port|database|user|namespace|\.crt$|^ca$)`)

// secretPatterns are what secrets look like wherever they come from.
var secretPatterns = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----`),
	regexp.MustCompile(`\bhks_[A-Za-z0-9_-]{20,}`),
	regexp.MustCompile(`\bK10[0-9a-f]{32,}::[^\s"']+`),
	regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16})`),
	regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+`),
}

// secretValues are what follows a word that says that it is a secret.
var secretValues = regexp.MustCompile(`(?i)((?:[?&]|\b)(?:token|password|passwd|secret|api_?key|signature)["']?\s*[=:]\s*["']?|\bauthorization["']?\s*[=:]\s*["']?(?:bearer|basic)\s+|://[^\s/:@"']*:)([^\s"'&@,}]{6,})`)

// secrets are all secrets of the install that could be read.
type secrets struct {
	values map[string]bool
}

func (s *secrets) add(value string) {
	value = strings.TrimSpace(value)
	if len(value) >= shortSecret && !plainWord.MatchString(value) {
		s.values[value] = true
	}
}

// readSecrets reads the secrets that are on the machine, and those of the
// cluster when it answers. What can't be read is told.
func (m *machine) readSecrets(ctx context.Context) (*secrets, []string) {
	s := &secrets{values: map[string]bool{}}
	var notes []string
	server := filepath.Join(m.paths.K3sData(), "server")
	for _, place := range []string{
		m.paths.State("secret.key"), m.paths.State("api"), m.paths.State("registry"), m.paths.AgentKubeconfig(), m.paths.GatewayState(), m.paths.NodeFile(),
		m.paths.K3sKubeconfig(), m.paths.K3sRegistries(), m.paths.ConfigFile(), m.settings.Assistant.Explain.KeyFile,
		filepath.Join(server, "token"), filepath.Join(server, "agent-token"), filepath.Join(server, "node-token"), filepath.Join(server, "cred"), filepath.Join(server, "tls"),
		m.paths.At("etc/rancher/node/password"),
	} {
		if place == "" {
			continue
		}
		if err := s.addPlace(place); err != nil {
			notes = append(notes, fmt.Sprintf("secrets of %s could not be read: %v", place, err))
		}
	}
	if err := m.addSealed(ctx, s); err != nil {
		notes = append(notes, fmt.Sprintf("secrets of the database could not be read, so only what looks like one was removed: %v", err))
	}
	if err := m.addClusterSecrets(ctx, s); err != nil {
		notes = append(notes, fmt.Sprintf("secrets of the cluster could not be read, so only what looks like one was removed: %v", err))
	}
	return s, notes
}

// addSealed reads what the agent's database holds sealed.
func (m *machine) addSealed(ctx context.Context, s *secrets) error {
	key, err := os.ReadFile(m.paths.State("secret.key"))
	if err != nil {
		return err
	}
	sealed, err := store.SecretsIn(ctx, m.paths.State("hks.db"), key)
	if err != nil {
		return err
	}
	for _, value := range sealed {
		s.add(value)
	}
	return nil
}

// addPlace reads a file or a folder of files.
func (s *secrets) addPlace(place string) error {
	const largest = 1 << 20 // bytes; no secret is as large
	err := filepath.WalkDir(place, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "docker" || entry.Name() == "blobs") {
			return fs.SkipDir // images
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Size() > largest {
			return ignoreMissing(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return ignoreMissing(err)
		}
		s.addFile(filepath.Base(path), data)
		return nil
	})
	return ignoreMissing(err)
}

func (s *secrets) addFile(name string, data []byte) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			s.values[string(block.Bytes)] = true
		}
	}
	switch {
	case name == "secret.key":
		s.values[string(data)] = true
		return
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return
	case strings.Contains(name, "token"), strings.Contains(name, "password"):
		s.add(string(data))
		if at := bytes.LastIndexByte(data, ':'); at >= 0 {
			s.add(string(data[at+1:]))
		}
		return
	}
	var tree any
	if yaml.Unmarshal(data, &tree) == nil { // JSON is YAML too
		s.addTree("", tree)
	}
}

func (s *secrets) addTree(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			s.addTree(name, child)
		}
	case []any:
		for _, child := range value {
			s.addTree(key, child)
		}
	case string:
		if !secretKey.MatchString(key) {
			return
		}
		s.add(value)
		if plain, err := base64.StdEncoding.DecodeString(value); err == nil {
			s.add(string(plain))
		}
	}
}

// addClusterSecrets reads the Secrets of the cluster; they are kept in memory only.
func (m *machine) addClusterSecrets(ctx context.Context, s *secrets) error {
	out, err := m.kubectl(ctx, "get", "secrets", "--all-namespaces", "--output", "json")
	if err != nil {
		return err
	}
	var list struct {
		Items []struct {
			Data map[string][]byte `json:"data"`
		} `json:"items"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("reading the cluster's answer: %w", err)
	}
	for _, item := range list.Items {
		for key, value := range item.Data {
			if !plainKey.MatchString(key) {
				s.add(string(value))
			}
		}
	}
	return nil
}

// forms are all the ways in which a secret may be written down.
func forms(secret string) []string {
	list := []string{secret, hex.EncodeToString([]byte(secret)), url.QueryEscape(secret)}
	if quoted, err := json.Marshal(secret); err == nil {
		list = append(list, strings.Trim(string(quoted), `"`))
	}
	if len(secret) >= 12 {
		// Base64 of something longer that holds it begins at one of three places.
		for shift := range 3 {
			text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
			text = strings.TrimRight(text, "=")
			if from, to := (shift*8+5)/6, (shift+len(secret))*8/6; from < to && to <= len(text) {
				text = text[from:to]
			}
			list = append(list, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
		}
	} else {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// scrubber takes secrets out of texts.
type scrubber struct{ known *strings.Replacer }

func (s *secrets) scrubber() scrubber {
	var pairs []string
	for value := range s.values {
		for _, form := range forms(value) {
			pairs = append(pairs, form, removed)
		}
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func (s scrubber) scrub(text []byte) []byte {
	clean := s.known.Replace(string(text))
	for _, pattern := range secretPatterns {
		clean = pattern.ReplaceAllString(clean, removed)
	}
	return []byte(secretValues.ReplaceAllString(clean, "${1}"+removed))
}

// found tells whether any secret is in a text, in whatever form.
func (s *secrets) found(text []byte) bool {
	for value := range s.values {
		for _, form := range forms(value) {
			if bytes.Contains(text, []byte(form)) {
				return true
			}
		}
	}
	return false
}

// redactSettings takes the values of secret keys out of a settings file. One
// that can't be parsed is left out as a whole.
func redactSettings(data []byte) []byte {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return []byte("# left out: it can't be parsed, so that nobody knows what in it is a secret\n")
	}
	redactNode(&root)
	out, err := yaml.Marshal(&root)
	if err != nil || root.Kind == 0 {
		return nil
	}
	return out
}

func redactNode(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if value := n.Content[i+1]; secretKey.MatchString(n.Content[i].Value) && value.Kind == yaml.ScalarNode && n.Content[i].Value != "keyFile" {
				value.SetString(removed)
			}
		}
	}
	for _, child := range n.Content {
		redactNode(child)
	}
}
