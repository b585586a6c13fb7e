package domain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// maker signs certificates of a test.
type maker struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func (m maker) issue(name string, key crypto.Signer, ca bool, names ...string) (*x509.Certificate, string) {
	m.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: names,
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(90 * 24 * time.Hour), IsCA: ca, BasicConstraintsValid: ca,
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := m.cert, m.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		m.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestA22OwnCertificateIsChecked(t *testing.T) {
	rootKey, key, otherKey := newKey(t), newKey(t), newKey(t)
	root, rootPEM := maker{t: t}.issue("root", rootKey, true)
	_, otherRoot := maker{t: t}.issue("other root", otherKey, true)
	under := maker{t, root, rootKey}
	_, www := under.issue("www", key, false, "www.example.com")
	_, wild := under.issue("wild", key, false, "*.example.com")
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // what is to be refused
	if err != nil {
		t.Fatal(err)
	}
	_, weakPEM := under.issue("weak", weak, false, "www.example.com")
	for name, tt := range map[string]struct {
		host, chain, key string
		now              time.Time
		refused          string // empty: fine
	}{
		"alone":              {"www.example.com", www, pemOf(t, key), noon, ""},
		"with its chain":     {"www.example.com", www + rootPEM, pemOf(t, key), noon, ""},
		"by a wildcard":      {"www.example.com", wild, pemOf(t, key), noon, ""},
		"for a wildcard":     {"*.example.com", wild, pemOf(t, key), noon, ""},
		"one name for all":   {"*.example.com", www, pemOf(t, key), noon, "is not for *.example.com"},
		"two labels below":   {"a.b.example.com", wild, pemOf(t, key), noon, "is not for a.b.example.com"},
		"another name":       {"example.com", www, pemOf(t, key), noon, "it is for www.example.com"},
		"another key":        {"www.example.com", www, pemOf(t, otherKey), noon, "not a pair"},
		"chain before leaf":  {"www.example.com", rootPEM + www, pemOf(t, key), noon, "not a pair"},
		"a chain of another": {"www.example.com", www + otherRoot, pemOf(t, key), noon, "the chain is broken"},
		"ended":              {"www.example.com", www, pemOf(t, key), noon.AddDate(1, 0, 0), "ended on"},
		"not yet":            {"www.example.com", www, pemOf(t, key), noon.AddDate(-1, 0, 0), "only from"},
		"a weak key":         {"www.example.com", weakPEM, pemOf(t, weak), noon, "1024 bits"},
		"no PEM":             {"www.example.com", "hello", pemOf(t, key), noon, "not a pair"},
		"a locked key":       {"www.example.com", www, "-----BEGIN ENCRYPTED PRIVATE KEY-----", noon, "passphrase"},
		"longer than it may": {"www.example.com", strings.Repeat("x", MaxCertificateBytes+1), "", noon, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checkCertificate(tt.host, tt.chain, tt.key, tt.now)
			switch {
			case tt.refused == "" && err != nil:
				t.Error(err)
			case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
				t.Errorf("%v, want %q", err, tt.refused)
			case err != nil && strings.Contains(err.Error(), "PRIVATE"):
				t.Error("the error holds the key")
			}
		})
	}
}
