package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"strings"

	"hks.dev/hks/agent"
)

const fingerprintPrefix = "SHA256:"

// FingerprintOf returns the fingerprint of a certificate: SHA256:hex of its DER form.
func FingerprintOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// ParseFingerprint checks a fingerprint as people paste it: the prefix may be
// missing, capitals and the colons of openssl are allowed.
func ParseFingerprint(s string) (string, error) {
	text := strings.TrimSpace(s)
	if len(text) > len(fingerprintPrefix) && strings.EqualFold(text[:len(fingerprintPrefix)], fingerprintPrefix) {
		text = text[len(fingerprintPrefix):]
	}
	text = strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if data, err := hex.DecodeString(text); err != nil || len(data) != sha256.Size {
		return "", agent.Errorf(agent.CodeInvalid, "copy it from the appliance: run hks version there",
			"%q is not a fingerprint: it is SHA256: and 64 hexadecimal digits", s)
	}
	return fingerprintPrefix + text, nil
}

// mismatchError says that the certificate is another than the pinned one.
type mismatchError struct{ want, got string }

func (e *mismatchError) Error() string {
	return fmt.Sprintf("the certificate is %s, expected %s", e.got, e.want)
}

// Certificate is what an appliance shows when it is asked for its identity.
type Certificate struct {
	Fingerprint string
	Trusted     bool // the system's authorities vouch for it under this name
}

// Inspect opens a TLS connection to an https address and returns the
// certificate found there; nothing is sent. Whether to trust it is up to a
// person who compares the fingerprint with the one shown on the appliance.
func Inspect(ctx context.Context, address string) (Certificate, error) {
	c, err := New(Config{URL: address})
	if err != nil {
		return Certificate{}, err
	}
	u, err := url.Parse(c.base)
	if err != nil || c.Local() {
		return Certificate{}, agent.Errorf(agent.CodeInvalid, "give it as https://HOST:8443", "%q is not an https address", address)
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config:    &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: true}, // looked at, not trusted
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return Certificate{}, c.explain(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: intermediates})
	return Certificate{Fingerprint: FingerprintOf(chain[0]), Trusted: err == nil}, nil
}
