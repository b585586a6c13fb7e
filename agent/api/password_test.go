package api

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestPasswordCostIsOneThatOWASPNames(t *testing.T) {
	// Password Storage Cheat Sheet, Argon2id: the equal minimum settings.
	named := map[argonCost]bool{
		{47104, 1, 1}: true, {19456, 2, 1}: true, {12288, 3, 1}: true, {9216, 4, 1}: true, {7168, 5, 1}: true,
	}
	if !named[passwordCost()] {
		t.Errorf("the cost is %+v", passwordCost())
	}
}

func TestHashRoundTrip(t *testing.T) {
	h := newHasher(passwordCost())
	phc, err := h.hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q", phc)
	}
	if other, err := h.hash(t.Context(), goodPassword); err != nil || other == phc {
		t.Errorf("the same hash twice, %v", err)
	}
	if right, stale, err := h.check(t.Context(), phc, goodPassword); !right || stale || err != nil {
		t.Errorf("%v, %v, %v", right, stale, err)
	}
	if right, _, err := h.check(t.Context(), phc, goodPassword+" "); right || err != nil {
		t.Errorf("a wrong password is right, %v", err)
	}
}

func TestADamagedHashIsAnError(t *testing.T) {
	h := newHasher(passwordCost())
	for _, phc := range []string{"", "x", "$argon2i$v=19$m=1,t=1,p=1$AA$AA", "$argon2id$v=19$m=0,t=0,p=0$AA$AA", "$argon2id$v=19$m=8,t=1,p=1$AA$AA"} {
		if right, _, err := h.check(t.Context(), phc, ""); right || err == nil {
			t.Errorf("%q: %v, %v", phc, right, err)
		}
	}
}

func TestPasswordPolicy(t *testing.T) {
	for password, ok := range map[string]bool{
		goodPassword: true, "öäüßéèêëāū": true, "correct horse staple": true, "x7!kQz0p-Lm": true,
		"ninechars": false, "password12": false, "Password2026!": false, "qwertyuiop": false, "0123456789": false, "abababababab": false,
		"administrator": false, "!!!changeme!!!": false, "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6": false, strings.Repeat("ab1-", 257): false,
	} {
		err := checkNewPassword(password)
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%q: code %s", password, agent.CodeOf(err))
		}
	}
}

func TestSecretsAreLongAndDifferent(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		secret := newSecret()
		if len(secret) != secretDigits || strings.Trim(secret, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || seen[secret] {
			t.Fatalf("secret %q", secret)
		}
		seen[secret] = true
	}
}
