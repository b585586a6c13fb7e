package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// assignment is a word that a shell would take for a variable.
var assignment = lazily(`^[A-Za-z_][A-Za-z0-9_]*=`)

// split makes words of a command's text. Spaces separate, quotes of both kinds
// hold together; whatever only a shell would understand is refused rather than
// passed on as if it meant nothing.
func split(text string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune
	)
	for _, r := range text {
		switch {
		case r == 0:
			return nil, errors.New("the command holds a zero byte")
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case forShell(r, quote, inWord):
			return nil, fmt.Errorf("%q has a meaning for a shell only, and none runs this command", r)
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) > 0 && assignment().MatchString(words[0]) {
		return nil, fmt.Errorf("the program's name is missing before %q; variables belong under env", shown(words[0]))
	}
	return words, nil
}

// forShell tells whether a shell would do more with the character than pass it on.
func forShell(r, quote rune, inWord bool) bool {
	switch quote {
	case '\'':
		return false
	case '"':
		return strings.ContainsRune("\\$`", r)
	}
	return strings.ContainsRune("|&;<>()$`\\*?[]{}", r) || !inWord && (r == '#' || r == '~')
}
