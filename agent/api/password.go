package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"hks.dev/hks/agent"
)

// Bounds of a password.
const (
	minPasswordRunes = 10
	maxPasswordBytes = 1024
)

// argonCost is the work of one hash.
type argonCost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// passwordCost is the work of argon2id. OWASP's Password Storage Cheat Sheet
// gives m=19 MiB, t=2, p=1 as one of its equal minimum settings; of those it
// is the one that fits the memory budget of a small machine. A hash says what
// it was made with, so that raising this renews each hash at the next login.
func passwordCost() argonCost { return argonCost{memory: 19 << 10, time: 2, threads: 1} }

const (
	saltBytes = 16
	hashBytes = 32
)

// hasher makes and checks password hashes, a few at a time, so that a storm of
// logins can't take the machine's memory.
type hasher struct {
	cost  argonCost
	turns chan struct{}
}

func newHasher(cost argonCost) *hasher { return &hasher{cost: cost, turns: make(chan struct{}, 2)} }

// hash returns the PHC string of password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	sum, err := h.derive(ctx, password, salt, h.cost)
	if err != nil {
		return "", err
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.cost.memory, h.cost.time, h.cost.threads, encode(salt), encode(sum)), nil
}

// check tells whether password is the one of the PHC string, and whether the
// string was made with another cost than today's.
func (h *hasher) check(ctx context.Context, phc, password string) (right, stale bool, err error) {
	made, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, false, err
	}
	sum, err := h.derive(ctx, password, salt, made)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(sum, want) == 1, made != h.cost, nil
}

func (h *hasher) derive(ctx context.Context, password string, salt []byte, with argonCost) ([]byte, error) {
	select {
	case h.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a password: %w", ctx.Err())
	}
	defer func() { <-h.turns }()
	return argon2.IDKey([]byte(password), salt, with.time, with.memory, with.threads, hashBytes), nil
}

func parsePHC(phc string) (argonCost, []byte, []byte, error) {
	damaged := errors.New("the owner's password hash is damaged")
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argonCost{}, nil, nil, damaged
	}
	var made argonCost
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &made.memory, &made.time, &made.threads); err != nil || made.time == 0 || made.threads == 0 {
		return argonCost{}, nil, nil, damaged
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	sum, sumErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(sum) != hashBytes {
		return argonCost{}, nil, nil, damaged
	}
	return made, salt, sum, nil
}

// checkNewPassword holds the policy: long, and not one that is tried first.
func checkNewPassword(password string) error {
	weak := func(message string) error {
		return &agent.Error{
			Code: agent.CodeInvalid, Message: message,
			Fix:     fmt.Sprintf("choose at least %d characters; a few words in a row are easy to remember", minPasswordRunes),
			Details: map[string]any{"field": "password"},
		}
	}
	switch {
	case len(password) > maxPasswordBytes:
		return weak(fmt.Sprintf("the password is longer than %d bytes", maxPasswordBytes))
	case !utf8.ValidString(password):
		return weak("the password is not text in UTF-8")
	case utf8.RuneCountInString(password) < minPasswordRunes:
		return weak("the password is too short")
	case isCommon(password):
		return weak("the password is one of those that are tried first")
	}
	return nil
}

// common holds the stems of passwords that head every list of leaked ones and
// are long enough to pass, once digits and signs around them are taken off.
var common = map[string]bool{
	"": true, "password": true, "passwort": true, "passw0rd": true, "p@ssw0rd": true, "p@ssword": true, "pa$$word": true,
	"passwordpassword": true, "mypassword": true, "changeme": true, "changeit": true, "letmein": true, "letmeinnow": true,
	"welcome": true, "admin": true, "administrator": true, "adminadmin": true, "root": true, "rootroot": true, "toor": true,
	"secret": true, "secretsecret": true, "topsecret": true, "default": true, "test": true, "testtest": true, "testing": true,
	"qwerty": true, "qwertyuiop": true, "qwertzuiop": true, "azertyuiop": true, "asdfghjkl": true, "zxcvbnm": true,
	"qwertyuiopasdfghjkl": true, "qwertyqwerty": true, "1q2w3e4r5t": true, "1q2w3e4r5t6y": true, "q1w2e3r4t5": true,
	"1qaz2wsx3edc": true, "qazwsxedc": true, "qazwsxedcrfv": true, "abcdefghij": true, "abcdefghijk": true, "abcdef": true, "abc": true,
	"iloveyou": true, "iloveyouso": true, "football": true, "baseball": true, "superman": true, "batman": true, "princess": true,
	"sunshine": true, "dragon": true, "monkey": true, "shadow": true, "master": true, "michael": true, "jennifer": true,
	"computer": true, "internet": true, "whatever": true, "trustno": true, "starwars": true, "pokemon": true, "correcthorsebatterystaple": true,
	"kubernetes": true, "raspberry": true, "server": true, "homeserver": true, "localhost": true, "hks": true, "owner": true,
}

func isCommon(password string) bool {
	lower := strings.ToLower(password)
	stem := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) })
	if common[lower] || common[stem] {
		return true
	}
	different := map[rune]bool{}
	for _, r := range lower {
		different[r] = true
	}
	return len(different) < 4 // aaaaaaaaaa, 1212121212, abcabcabca
}
