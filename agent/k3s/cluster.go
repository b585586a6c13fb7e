package k3s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

// probeLimit bounds one question to the API server.
const probeLimit = 5 * time.Second

// cluster asks the API server the two questions of readiness, with the
// administrator's credential. It is used by one goroutine.
type cluster struct {
	kubeconfig string
	node       string

	written time.Time // of the credential in use
	server  string
	client  *http.Client
	report  time.Time // the node's, as it was first seen
}

// kubeconfig is what is needed of the file that k3s writes.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		User struct {
			Certificate string `yaml:"client-certificate-data"`
			Key         string `yaml:"client-key-data"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// load reads the credential when it is new.
func (c *cluster) load() error {
	info, err := os.Stat(c.kubeconfig)
	if err != nil {
		return err
	}
	if c.client != nil && info.ModTime().Equal(c.written) {
		return nil
	}
	data, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		return err
	}
	server, config, err := parseKubeconfig(data)
	if err != nil {
		return err
	}
	c.close()
	c.server, c.written = server, info.ModTime()
	c.client = &http.Client{
		Timeout:   probeLimit,
		Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConns: 1}, // never by a proxy
	}
	return nil
}

func (c *cluster) close() {
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
}

func parseKubeconfig(data []byte) (string, *tls.Config, error) {
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil {
		return "", nil, err
	}
	if len(k.Clusters) == 0 || len(k.Users) == 0 {
		return "", nil, errors.New("the kubeconfig names no cluster or no user")
	}
	server := k.Clusters[0].Cluster.Server
	if u, err := url.Parse(server); err != nil || u.Scheme != "https" {
		return "", nil, fmt.Errorf("the kubeconfig's server %q is not an https URL", server)
	}
	var parts [3][]byte
	for i, text := range []string{k.Clusters[0].Cluster.CA, k.Users[0].User.Certificate, k.Users[0].User.Key} {
		part, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", nil, fmt.Errorf("reading the kubeconfig: %w", err)
		}
		parts[i] = part
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(parts[0]) {
		return "", nil, errors.New("the kubeconfig has no CA")
	}
	pair, err := tls.X509KeyPair(parts[1], parts[2])
	if err != nil {
		return "", nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return server, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// readyz asks whether the API server is ready.
func (c *cluster) readyz(ctx context.Context) error {
	_, err := c.get(ctx, "/readyz")
	return err
}

// nodeReady asks whether the node is ready by a report of today's kubelet, the
// one of the process that began at since: an earlier one's word still stands
// in the database. Where the clock was set back a new report is one that
// differs from the first seen.
func (c *cluster) nodeReady(ctx context.Context, since time.Time) error {
	data, err := c.get(ctx, "/api/v1/nodes/"+url.PathEscape(c.node))
	if err != nil {
		return err
	}
	var node struct {
		Status struct {
			Conditions []struct {
				Type, Status, Message string
				LastHeartbeatTime     time.Time
			}
		}
	}
	if err := json.Unmarshal(data, &node); err != nil {
		return fmt.Errorf("reading the node: %w", err)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if c.report.IsZero() {
			c.report = condition.LastHeartbeatTime
		}
		switch {
		case condition.LastHeartbeatTime.Before(since.Truncate(time.Second)) && condition.LastHeartbeatTime.Equal(c.report):
			return errors.New("it has not reported since k3s was started")
		case condition.Status != "True":
			return errors.New(short(condition.Message))
		}
		return nil
	}
	return errors.New("it has not reported yet")
}

// short cuts a long message: the beginning says what is wrong.
func short(message string) string {
	const limit = 160
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "") + "..."
}

// get returns a body, or what is wrong in few words.
func (c *cluster) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return nil, plain(err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, errors.New("it has not registered yet")
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return body, nil
}

// plain words the usual faults of a connection; the same fault has the same
// words each time, so that it counts as no change.
func plain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("it does not listen yet")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %s", probeLimit)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errors.New("it closed the connection")
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return errors.New("its certificate is not that of the credential yet")
	}
	return err
}
