package manifest

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
)

func TestReferenceIsWhatRegistriesRead(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for image, want := range map[string]bool{
		"web": true, "web:1": true, "ghcr.io/me/web:1.2-rc_1": true, "registry.hks.internal/hks/node:24": true, "localhost:5000/a/b" + digest: true,
		"a__b.c---d/e": true, "web:1" + digest: true, "library/web": true, "UPPER.example/web": true,
		"": false, "Web": false, "a//b": false, "/a": false, "a/": false, "a b": false, "a:": false, "a@sha256:00": false, "a\n": false, "-a": false, "a_": false,
		"a___b": false, "http://a/b": false, "a:b:c": false, "a?b": false, "a..b/c": false, ".a/b": false, strings.Repeat("0a", 32): false, strings.Repeat("a/", 200) + "a": false, "a:" + strings.Repeat("x", 129): false,
	} {
		if got := isReference(image); got != want {
			t.Errorf("isReference(%q) = %t", image, got)
		}
		if _, err := reference.ParseNormalizedNamed(image); (err == nil) != want {
			t.Errorf("the library on %q: %v", image, err)
		}
	}
}

// FuzzReference: whatever is accepted here, registries accept.
func FuzzReference(f *testing.F) {
	for _, image := range []string{"web:1", "ghcr.io/me/web:1", "localhost:5000/a/b@sha256:" + strings.Repeat("0a", 32), "a.b_c--d/e"} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		if !isReference(image) {
			return
		}
		if _, err := reference.ParseNormalizedNamed(image); err != nil {
			t.Fatalf("%q: %v", image, err)
		}
	})
}
