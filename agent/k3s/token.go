package k3s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// The forms of a token. All hold the hash of the cluster's CA, so that who
// joins knows whom.
var (
	secretToken = regexp.MustCompile(`^K10[0-9a-f]{64}::[a-z]+:\S+$`)
	joinToken   = regexp.MustCompile(`^K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}$`)
)

// tokenLimit bounds the making of a token.
const tokenLimit = 30 * time.Second

// ServerToken is the secret that decrypts a backup of the datastore.
func (e *Engine) ServerToken() (string, error) { return e.token("token") }

// NodeToken is the long-lived secret by which agents join.
func (e *Engine) NodeToken() (string, error) { return e.token("node-token") }

func (e *Engine) token(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(e.cfg.DataDir, "server", name))
	if err != nil {
		return "", fmt.Errorf("reading a token of the cluster: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if !secretToken.MatchString(token) {
		return "", fmt.Errorf("the file %s holds no token", name)
	}
	return token, nil
}

// CreateJoinToken makes a token by which one agent can join until ttl is over.
func (e *Engine) CreateJoinToken(ctx context.Context, ttl time.Duration) (string, error) {
	if ttl < time.Minute {
		return "", fmt.Errorf("a join token for %s is of no use", ttl) // 0 would mean for ever
	}
	ctx, cancel := context.WithTimeout(ctx, tokenLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.cfg.Binary, "token", "create", "--ttl", ttl.String())
	cmd.Env = append(e.cfg.environment(), "KUBECONFIG="+e.cfg.Kubeconfig)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		for line := range strings.Lines(string(out)) {
			if token := strings.TrimSpace(line); joinToken.MatchString(token) {
				return token, nil
			}
		}
		err = errors.New("k3s printed no token")
	}
	return "", &agent.Error{
		Code:    agent.CodeClusterAway,
		Message: "a join token could not be made: " + telling(append([]string{err.Error()}, strings.Split(strings.TrimSpace(stderr.String()), "\n")...)),
		Fix:     "check that the cluster runs, then try again",
		Cause:   err,
	}
}
