// Package token reads and writes k3s's join tokens: K10<sha256 of the CA>::<user>:<secret>, the same with a bootstrap
// token <6>.<16> after the colons, or a bare secret.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

const (
	prefix   = "K10"
	alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
)

var bootstrap = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)

// A Token is a parsed join token.
type Token struct {
	CAHash string // empty: the CA is not pinned
	User   string // "server", "node", or empty
	Secret string
}

// IsBootstrap says whether the secret is a Kubernetes bootstrap token.
func (t Token) IsBootstrap() bool { return bootstrap.MatchString(t.Secret) }

// Parse reads a token in any of its forms.
func Parse(s string) (Token, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Token{}, fmt.Errorf("the token is empty")
	}
	rest, pinned := strings.CutPrefix(s, prefix)
	if !pinned || !strings.Contains(rest, "::") {
		return Token{Secret: s}, nil
	}
	hash, credentials, _ := strings.Cut(rest, "::")
	if len(hash) != sha256.Size*2 {
		return Token{}, fmt.Errorf("invalid token CA hash length")
	}
	if _, err := hex.DecodeString(hash); err != nil {
		return Token{}, fmt.Errorf("invalid token CA hash: %w", err)
	}
	if bootstrap.MatchString(credentials) {
		return Token{CAHash: hash, Secret: credentials}, nil
	}
	user, secret, ok := strings.Cut(credentials, ":")
	if !ok || user == "" || secret == "" {
		return Token{}, fmt.Errorf("invalid token format")
	}
	return Token{CAHash: hash, User: user, Secret: secret}, nil
}

// Format writes a token pinned to a CA.
func Format(caPEM []byte, user, secret string) string {
	if user == "" {
		return prefix + Hash(caPEM) + "::" + secret
	}
	return prefix + Hash(caPEM) + "::" + user + ":" + secret
}

// Hash is the form of a CA in a token.
func Hash(caPEM []byte) string {
	sum := sha256.Sum256(caPEM)
	return hex.EncodeToString(sum[:])
}

// NewSecret makes the secret of a new cluster.
func NewSecret() string {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // never fails
	return hex.EncodeToString(b)
}

// NewBootstrap makes the two halves of a bootstrap token.
func NewBootstrap() (id, secret string) { return letters(6), letters(16) }

// SplitBootstrap gives the two halves of a bootstrap token.
func SplitBootstrap(s string) (id, secret string, err error) {
	m := bootstrap.FindStringSubmatch(s)
	if m == nil {
		return "", "", fmt.Errorf("%q is not a bootstrap token; its form is [a-z0-9]{6}.[a-z0-9]{16}", s)
	}
	return m[1], m[2], nil
}

func letters(n int) string {
	out := make([]byte, 0, n)
	for len(out) < n {
		b := make([]byte, 1)
		rand.Read(b)                           //nolint:errcheck // never fails
		if int(b[0]) < 256-256%len(alphabet) { // no bias
			out = append(out, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(out)
}
