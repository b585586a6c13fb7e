package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// issueTimeout bounds one try to get a certificate, challenges included.
const issueTimeout = 3 * time.Minute

// acmeIssuer asks a certificate authority (RFC 8555) by certmagic: it keeps the
// account and answers the challenges HTTP-01 and TLS-ALPN-01 on the gateway's
// own ports.
type acmeIssuer struct {
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
	cache  *certmagic.Cache
}

// newACMEIssuer prepares to ask; nothing is asked yet. Stop ends its cache.
func newACMEIssuer(cfg Config, log *zap.Logger) (*acmeIssuer, error) {
	template := certmagic.ACMEIssuer{
		CA: cfg.ACME.Directory, TestCA: cfg.ACME.Directory, Email: cfg.ACME.Email, Agreed: true, Logger: log,
		Resolver: cfg.ACME.Resolver,
	}
	var err error
	if template.ListenHost, template.AltHTTPPort, err = listenAt(cfg.HTTP); err != nil {
		return nil, err
	}
	if _, template.AltTLSALPNPort, err = listenAt(cfg.HTTPS); err != nil {
		return nil, err
	}
	if cfg.ACME.CA != "" {
		bundle, err := os.ReadFile(cfg.ACME.CA)
		if err != nil {
			return nil, fmt.Errorf("reading gateway.acme.ca: %w", err)
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("gateway.acme.ca: there is no certificate in %s", cfg.ACME.CA)
		}
	}
	a := &acmeIssuer{}
	// Certmagic's own cache is for certificates that it manages; here it serves
	// the challenges only.
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil }, Logger: log,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(cfg.State, "acme")}, Logger: log, DisableARI: true,
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, template)
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

func listenAt(address string) (host string, port int, err error) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("the gateway's address: %w", err)
	}
	port, err = strconv.Atoi(number)
	return host, port, err
}

// accountMade is certmagic's error after the authority had forgotten the
// account: it makes another, and goes on with the one before.
const accountMade = "no certificate chains"

func (a *acmeIssuer) stop() { a.cache.Stop() }

// issue asks for one certificate with a new key and returns both as PEM.
func (a *acmeIssuer) issue(ctx context.Context, host string) (chain, key []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	if err := a.issuer.PreCheck(ctx, []string{host}, false); err != nil {
		return nil, nil, err
	}
	private, err := certmagic.StandardKeyGenerator{KeyType: certmagic.P256}.GenerateKey()
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}, DNSNames: []string{host}}, private)
	if err != nil {
		return nil, nil, fmt.Errorf("making a request: %w", err)
	}
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, nil, fmt.Errorf("making a request: %w", err)
	}
	issued, err := a.issuer.Issue(ctx, parsed)
	if err != nil && err.Error() == accountMade {
		issued, err = a.issuer.Issue(ctx, parsed)
	}
	if err != nil {
		return nil, nil, err
	}
	return issued.Certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

// answers serves the request where it is the authority looking for the answer
// to a challenge of the type HTTP-01.
func (a *acmeIssuer) answers(w http.ResponseWriter, r *http.Request) bool {
	return a.issuer.HandleHTTPChallenge(w, r)
}

// challenge is the certificate that answers a challenge of the type TLS-ALPN-01.
func (a *acmeIssuer) challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.config.GetCertificate(hello)
}

// authorityWords is what an authority said, else what kept it from being asked.
func authorityWords(err error) string {
	problem, ok := errors.AsType[acme.Problem](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return "the certificate authority gave no answer in time"
		}
		if e, ok := errors.AsType[*net.OpError](err); ok {
			return "the certificate authority can't be reached: " + e.Error()
		}
		return err.Error()
	}
	words := problem.Detail
	for _, sub := range problem.Subproblems {
		words += "; " + sub.Detail
	}
	if words == "" {
		words = problem.Title
	}
	return fmt.Sprintf("%s (%s)", words, problem.Type)
}
