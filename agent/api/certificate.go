package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
)

// certificateLife is long because clients pin the fingerprint: a renewal
// would lock them all out, and nobody else vouches for the certificate.
const certificateLife = 10 * 365 * 24 * time.Hour

// loadCertificate reads the API's certificate and key, which share one file,
// so that there is never one without the other. The first time it makes them.
// They are never renewed by themselves, not even when names change.
func loadCertificate(folder string, names []string, now func() time.Time) (tls.Certificate, string, error) {
	file := filepath.Join(folder, "tls.pem")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = makeCertificate(names, now()); err == nil {
			err = writeSecret(file, text)
		}
	}
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("having the API's certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, "", &agent.Error{
			Code:    agent.CodeInvalid,
			Message: fmt.Sprintf("the API's certificate in %s is damaged: %v", file, err),
			Fix:     "put it back from a backup; or remove it, start again, and have every client log in again with the new fingerprint",
			Cause:   err,
		}
	}
	return certificate, fingerprint(certificate.Certificate[0]), nil
}

// fingerprint is SHA256:hex of a certificate in DER.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// keyPin is the SHA-256 of a certificate's public key in base64, as HPKP (RFC
// 7469) and curl write it.
func keyPin(certificate tls.Certificate) string {
	sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func makeCertificate(names []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "hks"},
		NotBefore:             now.Add(-time.Hour), // clients' clocks may be a little behind
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&text, block); err != nil {
			return nil, fmt.Errorf("encoding: %w", err)
		}
	}
	return text.Bytes(), nil
}

// writeSecret places a file of mode 0600 whole or not at all.
func writeSecret(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making its folder: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already when all went well
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fmt.Errorf("placing: %w", err)
	}
	return nil
}
