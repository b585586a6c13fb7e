package domain

import (
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

const (
	leastRSABits = 2048

	// MaxCertificateBytes bounds a chain, and a key.
	MaxCertificateBytes = 64 << 10
)

// checkCertificate checks a certificate of the owner's own: that key and
// certificate are a pair, that it is for the host and valid now, and that each
// of the chain is signed by the next.
func checkCertificate(host, chain, key string, now time.Time) (*x509.Certificate, error) {
	refused := func(fix, format string, args ...any) (*x509.Certificate, error) {
		e := agent.Errorf(agent.CodeInvalid, fix, format, args...)
		e.Details = map[string]any{"field": "certificate"}
		return nil, e
	}
	if len(chain) > MaxCertificateBytes || len(key) > MaxCertificateBytes {
		return refused("send the certificate with its chain, and nothing else", "the certificate is longer than %d KiB", MaxCertificateBytes>>10)
	}
	if strings.Contains(key, "ENCRYPTED") {
		return refused("take the passphrase off first: openssl pkey -in KEY -out PLAIN", "the key is protected by a passphrase")
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return refused("give the certificate first in its file, then its chain, and the key that belongs to it, both as PEM",
			"certificate and key are not a pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf := pair.Leaf
	name := strings.Replace(host, "*.", "any-name.", 1)
	if strings.HasPrefix(host, "*.") && !slices.Contains(leaf.DNSNames, host) {
		name = host // never covered
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return refused("get one for "+host, "the certificate is not for %s: it is for %s", nameOf(host), cmp.Or(strings.Join(leaf.DNSNames, ", "), leaf.Subject.String()))
	}
	switch {
	case now.Before(leaf.NotBefore):
		return refused("wait until then, or set the machine's clock right", "the certificate is valid only from %s on", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return refused("renew it where it comes from", "the certificate ended on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if public, ok := leaf.PublicKey.(*rsa.PublicKey); ok && public.N.BitLen() < leastRSABits {
		return refused(fmt.Sprintf("make one of %d bits or more", leastRSABits), "the certificate's key has %d bits only", public.N.BitLen())
	}
	below := leaf
	for i, der := range pair.Certificate[1:] {
		above, err := x509.ParseCertificate(der)
		if err != nil {
			return refused("leave it out", "certificate %d of the chain can't be read: %w", i+2, err)
		}
		if err := below.CheckSignatureFrom(above); err != nil {
			return refused("put the chain in order, each one before the one that signed it",
				"the chain is broken: %s did not sign %s", above.Subject, below.Subject)
		}
		below = above
	}
	return leaf, nil
}

func issuerOf(leaf *x509.Certificate) string {
	return cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String())
}
