package api

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"strings"
)

// secretBytes is how much chance is in a session, a token or a set-up link.
const secretBytes = 32

// secretDigits is how many base62 digits hold secretBytes: ceil(256/log2(62)).
const secretDigits = 43

// tokenPrefix begins each API token, so that scanners for leaked secrets find it.
const tokenPrefix = "hks_"

// newSecret returns a random text of base62 digits.
func newSecret() string {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	text := new(big.Int).SetBytes(raw).Text(62)
	return strings.Repeat("0", secretDigits-len(text)) + text
}

// newID returns a random name for a session or a token; it is no secret.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// hashSecret is what is kept of a secret. One round is enough: there is
// nothing to guess in 32 random bytes.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
