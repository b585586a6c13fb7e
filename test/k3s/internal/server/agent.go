package server

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"hks.dev/hks/test/k3s/internal/node"
	"hks.dev/hks/test/k3s/internal/pki"
	"hks.dev/hks/test/k3s/internal/token"
)

// startAgent joins a server and starts the node.
func (r *runner) startAgent(ctx context.Context) error {
	runtime, err := r.node.StartContainerd(ctx)
	if err != nil {
		return err
	}
	if err := r.node.ImportImages(ctx, runtime); err != nil {
		return err
	}
	go r.node.WatchImages(ctx, runtime)
	join, err := token.Parse(r.cfg.Token)
	if err != nil {
		return err
	}
	ca, err := fetchCA(ctx, r.cfg.Server, join)
	if err != nil {
		return err
	}
	cred, err := r.agentCredentials(ca, join)
	if err != nil {
		return err
	}
	if err := fetchClientCA(ctx, cred); err != nil {
		return err
	}
	if err := r.node.Start(ctx, cred); err != nil {
		return err
	}
	rc, err := clientcmd.BuildConfigFromFlags("", cred.Proxy)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, rc); err != nil {
		return err
	}
	log.Printf("level=info msg=\"k3s agent is up and running\"")
	notifyReady()
	return nil
}

// agentCredentials writes the kubeconfigs: one to ask for a certificate with, one that uses it.
func (r *runner) agentCredentials(ca []byte, join token.Token) (node.Credentials, error) {
	dir := filepath.Join(r.cfg.DataDir, "agent")
	caFile := filepath.Join(dir, "server-ca.crt")
	cred := node.Credentials{
		Kubeconfig: filepath.Join(dir, "kubelet.kubeconfig"),
		Bootstrap:  filepath.Join(dir, "bootstrap.kubeconfig"),
		Proxy:      filepath.Join(dir, "kubeproxy.kubeconfig"),
		ClientCA:   filepath.Join(dir, "client-ca.crt"),
	}
	if err := os.WriteFile(caFile, ca, 0o644); err != nil {
		return cred, err
	}
	if err := pki.Kubeconfig(cred.Bootstrap, r.cfg.Server, ca, api.AuthInfo{Token: join.Secret}, 0o600); err != nil {
		return cred, err
	}
	// The kubelet renews this file's certificate, and everybody who reads it has the new one.
	pem := filepath.Join(dir, "kubelet-pki/kubelet-client-current.pem")
	return cred, pki.Kubeconfig(cred.Proxy, r.cfg.Server, ca, api.AuthInfo{ClientCertificate: pem, ClientKey: pem}, 0o600)
}

// fetchClientCA asks for the CA of the kubelet's callers, unless an earlier start has it: the token may be gone by now.
func fetchClientCA(ctx context.Context, cred node.Credentials) error {
	if _, err := os.Stat(cred.ClientCA); err == nil {
		return nil
	}
	rc, err := clientcmd.BuildConfigFromFlags("", cred.Bootstrap)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cm, err := client.CoreV1().ConfigMaps("kube-system").Get(ctx, "extension-apiserver-authentication", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("the server doesn't take this token: %w", err)
	}
	return os.WriteFile(cred.ClientCA, []byte(cm.Data["client-ca-file"]), 0o644)
}

// fetchCA takes the server's CA from its TLS handshake, and holds it against the token.
func fetchCA(ctx context.Context, server string, join token.Token) ([]byte, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("--server %q is not a URL", server)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	for {
		ca, err := handshake(ctx, host)
		if err == nil {
			if join.CAHash == "" {
				log.Printf("level=warning msg=\"Cluster CA certificate is not trusted by the host, and the token pins none\"")
			} else if got := token.Hash(ca); got != join.CAHash {
				return nil, fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", join.CAHash, got)
			}
			return ca, nil
		}
		log.Printf("level=error msg=\"failed to reach the server\" server=%s error=%q", server, err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

func handshake(ctx context.Context, host string) ([]byte, error) {
	// The CA isn't known yet: the token's hash decides, not the TLS library.
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().PeerCertificates
	last := chain[len(chain)-1]
	if !last.IsCA {
		return nil, fmt.Errorf("%s sends no CA certificate", host)
	}
	for _, c := range chain[:len(chain)-1] {
		if err := c.CheckSignatureFrom(last); err != nil {
			return nil, fmt.Errorf("%s: %w", host, err)
		}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: last.Raw}), nil
}
