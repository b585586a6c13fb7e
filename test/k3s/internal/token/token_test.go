package token

import (
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	ca := []byte("a certificate")
	for _, want := range []Token{
		{Hash(ca), "server", "s3cret"},
		{Hash(ca), "node", "with:colon"},
		{Hash(ca), "", "abcdef.0123456789abcdef"},
	} {
		got, err := Parse(Format(ca, want.User, want.Secret) + "\n")
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestForms(t *testing.T) {
	bare, err := Parse("just-a-secret")
	if err != nil || bare.CAHash != "" || bare.Secret != "just-a-secret" || bare.IsBootstrap() {
		t.Errorf("bare: %+v %v", bare, err)
	}
	boot, err := Parse("abcdef.0123456789abcdef")
	if err != nil || !boot.IsBootstrap() {
		t.Errorf("bootstrap: %+v %v", boot, err)
	}
	for _, bad := range []string{"", "K10abc::server:x", "K10" + strings.Repeat("g", 64) + "::server:x", "K10" + strings.Repeat("a", 64) + "::server"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q read as %+v", bad, got)
		}
	}
}

func TestNewBootstrap(t *testing.T) {
	id, secret := NewBootstrap()
	if _, _, err := SplitBootstrap(id + "." + secret); err != nil {
		t.Error(err)
	}
}
