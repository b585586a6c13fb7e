package disk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"hks.dev/hks/agent"
)

// keyLife is how long a certificate is good: as long as a machine lives. Nobody
// but its peer, which has it by heart, takes it.
const keyLife = 20 * 365 * 24 * time.Hour

// NewKeys makes a certificate with its key.
func NewKeys(name string, now time.Time) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keyLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}}, &private.PublicKey, private)
	if err != nil {
		return "", "", fmt.Errorf("making a certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})), nil
}

// ServerTLS lets nobody in but the peer.
func ServerTLS(k agent.DiskKeys) (*tls.Config, error) {
	pair, exactly, err := readKeys(k)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAnyClientCert, VerifyConnection: exactly,
	}, nil
}

func clientTLS(k agent.DiskKeys) (*tls.Config, error) {
	pair, exactly, err := readKeys(k)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		InsecureSkipVerify: true, // no name and no authority counts: it is this one certificate or none
		VerifyConnection:   exactly,
	}, nil
}

func readKeys(k agent.DiskKeys) (tls.Certificate, func(tls.ConnectionState) error, error) {
	pair, err := tls.X509KeyPair([]byte(k.Certificate), []byte(k.Key))
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("reading the key for disks: %w", err)
	}
	block, _ := pem.Decode([]byte(k.Peer))
	if block == nil {
		return tls.Certificate{}, nil, errors.New("reading the key for disks: the other machine's certificate is missing")
	}
	peer, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("reading the other machine's certificate: %w", err)
	}
	return pair, func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 || !state.PeerCertificates[0].Equal(peer) {
			return errors.New("it is not the machine that was joined")
		}
		return nil
	}, nil
}
