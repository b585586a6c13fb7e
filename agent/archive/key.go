package archive

import (
	"fmt"
	"strings"

	"filippo.io/age"

	"hks.dev/hks/agent"
)

// Key opens archives; its public half makes them.
type Key struct{ identity *age.X25519Identity }

// NewKey makes a key.
func NewKey() (Key, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return Key{}, fmt.Errorf("making a recovery key: %w", err)
	}
	return Key{identity}, nil
}

// ParseKey reads a key as it was shown: the line that begins with
// AGE-SECRET-KEY-1, whatever comments are around it.
func ParseKey(text string) (Key, error) {
	const fix = "it is one line that begins with AGE-SECRET-KEY-1, as hks recovery-key showed it"
	for line := range strings.Lines(text) {
		line = strings.ToUpper(strings.TrimSpace(line))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		identity, err := age.ParseX25519Identity(line)
		if err != nil {
			return Key{}, &agent.Error{Code: agent.CodeInvalid, Message: "this is no recovery key", Fix: fix} // the parser's words may hold parts of it
		}
		return Key{identity}, nil
	}
	return Key{}, &agent.Error{Code: agent.CodeInvalid, Message: "the recovery key is empty", Fix: fix}
}

// String is the secret itself.
func (k Key) String() string { return k.identity.String() }

// Recipient is the public half.
func (k Key) Recipient() string { return k.identity.Recipient().String() }
