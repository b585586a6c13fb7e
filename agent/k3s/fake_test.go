package k3s

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The test binary is also a k3s: it is one when k3s's own variables are set.
// What kind of one, the name it is called by or its settings tell.
func TestMain(m *testing.M) {
	if os.Getenv("K3S_CONFIG_FILE") == "" {
		os.Exit(m.Run())
	}
	log.SetFlags(0)
	if err := fakeK3s(); err != nil {
		log.Fatalf(`level=fatal msg="%v"`, err)
	}
}

func fakeK3s() error {
	switch {
	case len(os.Args) < 2:
		return fmt.Errorf("no verb")
	case os.Args[1] == "--version" && filepath.Base(os.Args[0]) == "k3s-that-hangs":
		select {}
	case os.Args[1] == "--version" && filepath.Base(os.Args[0]) == "something-else":
		fmt.Println("kubectl version 9")
		return nil
	case os.Args[1] == "--version":
		fmt.Println("k3s version v1.36.2+k3s1 (c0ffee00)\ngo version go1.26")
		return nil
	case strings.Join(os.Args[1:], " ") == "token create --ttl 10m0s":
		if os.Getenv("KUBECONFIG") == "" || os.Getenv("K3S_DATA_DIR") == "" {
			return fmt.Errorf("no place to look")
		}
		fmt.Println("K10" + strings.Repeat("ab", 32) + "::abc123.0123456789abcdef")
		return nil
	case os.Args[1] == "server" && len(os.Args) == 2:
		return fakeServer()
	}
	return fmt.Errorf("unexpected arguments %q", os.Args[1:])
}

func fakeServer() error {
	var settings struct {
		Kubeconfig string `yaml:"write-kubeconfig"`
		Mode       string `yaml:"write-kubeconfig-mode"`
		Node       string `yaml:"node-name"`
		Port       int    `yaml:"https-listen-port"`
		Fake       string `yaml:"fake"`
	}
	data, err := os.ReadFile(os.Getenv("K3S_CONFIG_FILE"))
	if err == nil {
		err = yaml.Unmarshal(data, &settings)
	}
	if err != nil {
		return err
	}
	log.Printf("level=info msg=\"a fake k3s begins, %s\"", settings.Fake)
	if settings.Fake == "crash" {
		return fmt.Errorf("flux valve is stuck")
	}
	if settings.Mode != "0600" {
		return fmt.Errorf("write-kubeconfig-mode is %q", settings.Mode)
	}
	certificate, config, err := fakeCredential(settings.Port)
	if err != nil {
		return err
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if settings.Fake == "unready" {
			http.Error(w, "etcd failed", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/api/v1/nodes/"+settings.Node, func(w http.ResponseWriter, r *http.Request) {
		status := map[bool]string{true: "False", false: "True"}[settings.Fake == "no-network"]
		report := time.Now()
		if settings.Fake == "yesterday" { // an earlier kubelet's word
			report = yesterday
		}
		fmt.Fprintf(w, `{"status":{"conditions":[{"type":"Ready","status":%q,"message":"cni plugin not initialized","lastHeartbeatTime":%q}]}}`,
			status, report.UTC().Format(time.RFC3339))
	})
	listener, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", settings.Port), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	if settings.Fake != "silent" {
		if err := os.WriteFile(settings.Kubeconfig, config, 0o600); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { <-ctx.Done(); os.Exit(0) }()
	return http.Serve(listener, mux)
}

func fakeCredential(port int) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- cluster: {server: "https://127.0.0.1:%d", certificate-authority-data: %s}
  name: default
users:
- name: default
  user: {client-certificate-data: %s, client-key-data: %s}
`, port, b64(certPEM), b64(certPEM), b64(keyPEM))
	return pair, []byte(config), nil
}
