package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// KubeconfigUser is whom a kubeconfig is for.
type KubeconfigUser struct {
	Name      string // of the user, cluster and context in the file
	Token     string
	Namespace string // the default one
	Server    string // address to use instead of the connection's own; may be empty
	Host      string // the same, for the host alone, and only where the connection's own is this machine's loopback
}

// KubeconfigFor writes a kubeconfig for the connection's cluster, with its CA
// embedded and a token as the only credential.
func (c *Client) KubeconfigFor(user KubeconfigUser) ([]byte, error) {
	settings, err := c.REST()
	if err != nil {
		return nil, err
	}
	ca, err := caOf(settings)
	if err != nil {
		return nil, err
	}
	server := user.Server
	if server == "" {
		server = seenFromOutside(settings.Host, user.Host)
	}
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{user.Name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user.Name: {Token: user.Token}},
		Contexts:       map[string]*clientcmdapi.Context{user.Name: {Cluster: user.Name, AuthInfo: user.Name, Namespace: user.Namespace}},
		CurrentContext: user.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return text, nil
}

// seenFromOutside puts host in the place of the loopback address in a URL.
func seenFromOutside(server, host string) string {
	at, err := url.Parse(server)
	if err != nil || host == "" {
		return server
	}
	if ip := net.ParseIP(at.Hostname()); at.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return server
	}
	at.Host = net.JoinHostPort(host, at.Port())
	return at.String()
}

func caOf(settings *rest.Config) ([]byte, error) {
	if len(settings.CAData) > 0 || settings.CAFile == "" {
		return settings.CAData, nil
	}
	ca, err := os.ReadFile(settings.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's CA: %w", err)
	}
	return ca, nil
}

func fromKubeconfig(text []byte) (*Client, error) {
	settings, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		return nil, fmt.Errorf("reading a kubeconfig: %w", err)
	}
	return connect(settings, Config{})
}

// writeIfChanged places a secret file whole, with mode 0600, and leaves one
// with the same content and mode alone.
func writeIfChanged(file string, text []byte, owner *FileOwner) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if err != nil || !bytes.Equal(before, text) {
		if err := replaceFile(file, text); err != nil {
			return err
		}
	} else if err := os.Chmod(file, 0o600); err != nil {
		return fmt.Errorf("protecting %s: %w", file, err)
	}
	if owner == nil {
		return nil
	}
	if err := os.Chown(file, owner.UID, owner.GID); err != nil {
		return fmt.Errorf("giving %s to its reader: %w", file, err)
	}
	return nil
}

func replaceFile(file string, text []byte) (err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	temp, err := os.CreateTemp(dir, ".kubeconfig-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making a temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return fmt.Errorf("writing %s: %w", temp.Name(), err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fmt.Errorf("placing %s: %w", file, err)
	}
	return nil
}
