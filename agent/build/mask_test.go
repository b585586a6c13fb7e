package build

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestSecretsAreMasked(t *testing.T) {
	const secret = "s3cr3t/with+signs&\"quotes\" and a good length"
	wrapped := func(text string, width int) string {
		var lines []string
		for len(text) > width {
			lines, text = append(lines, text[:width]), text[width:]
		}
		return strings.Join(append(lines, text), "\n")
	}
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	long := base64.StdEncoding.EncodeToString([]byte(secret))
	for name, text := range map[string]string{
		"plain":                        "the token is " + secret + ", see",
		"twice":                        secret + secret,
		"base64":                       base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 of more, offset 0":     base64.StdEncoding.EncodeToString([]byte("abc" + secret + "xyz")),
		"base64 of more, offset 1":     base64.StdEncoding.EncodeToString([]byte("a" + secret + "z")),
		"base64 of more, offset 2":     base64.URLEncoding.EncodeToString([]byte("ab" + secret + "yz")),
		"hex":                          hex.EncodeToString([]byte(secret)),
		"in a URL":                     "https://x/?token=" + url.QueryEscape(secret),
		"as JSON":                      string(quoted),
		"split in two":                 "token: " + secret[:20] + "\n" + secret[20:] + " end",
		"base64 as base64(1) wraps it": wrapped(long, 24),
		"split with spaces at the end": "token: " + secret[:15] + "  \n  " + secret[15:],
	} {
		t.Run(name, func(t *testing.T) {
			got := newMask(map[string]string{"TOKEN": secret, "OTHER": "x"}).text(text)
			for _, form := range []string{secret, secret[:12], secret[len(secret)-12:], long[4:16], hex.EncodeToString([]byte(secret))} {
				if strings.Contains(got, form) {
					t.Errorf("%q still holds %q", got, form)
				}
			}
			if !strings.Contains(got, masked) {
				t.Errorf("%q shows no place where something was", got)
			}
		})
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	m := newMask(map[string]string{"TOKEN": "correct horse battery", "SHORT": "abc"})
	for _, text := range []string{"", "all is well", "correct horse", "horse battery alone", "abc is too short to be masked", "a line\nand another"} {
		if got := m.text(text); got != text && text != "correct horse" {
			t.Errorf("%q became %q", text, got)
		}
	}
	if newMask(map[string]string{"SHORT": "abc"}) != nil || newMask(nil).line("x") != "x" {
		t.Error("nothing to mask is something")
	}
}

func TestMultilineSecretIsMaskedLineByLine(t *testing.T) {
	key := "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAAD\nBBBBBBBBBBBBBBBBBBBB\n-----END KEY-----\n"
	got := newMask(map[string]string{"KEY": key}).text("> " + strings.ReplaceAll(key, "\n", "\n> "))
	if strings.Contains(got, "AAAAB3") || strings.Contains(got, "BBBBBB") {
		t.Errorf("%q", got)
	}
}
