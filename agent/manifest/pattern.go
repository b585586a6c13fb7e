package manifest

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used: most
// commands of hks need none of them, and all start at once.
type pattern func() *regexp.Regexp

func lazily(text string) pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
