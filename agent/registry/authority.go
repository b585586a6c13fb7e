package registry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hks.dev/hks/agent"
)

// The authority is made once an installation and signs one certificate, which
// is made anew when its names change or its end is near. Nodes trust the
// authority's file, so they notice neither.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	renewBefore     = 90 * 24 * time.Hour
	backdated       = time.Hour // for clocks that differ
)

func (r *Registry) caFile() string { return filepath.Join(r.cfg.Dir, "tls", "ca.crt") }

// certificate returns the server's certificate, made when there is no good one.
func (r *Registry) certificate() (tls.Certificate, error) {
	dir := filepath.Join(r.cfg.Dir, "tls")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return tls.Certificate{}, fmt.Errorf("making the registry's folder: %w", err)
	}
	authority, err := r.authority(dir)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the registry's authority: %w", err)
	}
	certFile, keyFile := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	names := r.names()
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && r.good(pair, authority, names) {
		return pair, nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: agent.RegistryHost},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	pair, err := r.sign(template, certificateLife, &authority, certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the registry's certificate: %w", err)
	}
	return pair, nil
}

// names are all that the certificate is for.
func (r *Registry) names() []string {
	names := append([]string{agent.RegistryHost, "localhost", "127.0.0.1", "::1", r.cfg.Advertise}, r.cfg.Hosts...)
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *Registry) good(pair, authority tls.Certificate, names []string) bool {
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	for _, name := range names {
		if pair.Leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: r.cfg.Now().Add(renewBefore)})
	return err == nil
}

func (r *Registry) authority(dir string) (tls.Certificate, error) {
	certFile, keyFile := r.caFile(), filepath.Join(dir, "ca.key")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && r.cfg.Now().Add(certificateLife).Before(pair.Leaf.NotAfter) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.cfg.Log.Warn("the registry's authority can't be used and is made anew", "error", err)
	}
	return r.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "hks registry authority"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, authorityLife, nil, certFile, keyFile)
}

// sign makes a key and a certificate for it, signed by the authority, or by
// itself when that is nil.
func (r *Registry) sign(template *x509.Certificate, life time.Duration, by *tls.Certificate, certFile, keyFile string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a serial number: %w", err)
	}
	now := r.cfg.Now()
	template.NotBefore, template.NotAfter = now.Add(-backdated), now.Add(life)
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("writing the key: %w", err)
	}
	cert, secret := encodePEM("CERTIFICATE", der), encodePEM("PRIVATE KEY", private)
	if err := errors.Join(writeFile(keyFile, secret), writeFile(certFile, cert)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, secret)
}

func encodePEM(kind string, der []byte) []byte {
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}) // a buffer takes all
	return text.Bytes()
}

// writeFile places a file whole, with mode 0600.
func writeFile(file string, text []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
