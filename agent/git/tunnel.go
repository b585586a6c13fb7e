package git

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"hks.dev/hks/agent"
)

const (
	dialTimeout = 15 * time.Second
	maxRequest  = 4 << 10 // bytes of git's first line
)

// NewKey makes a deploy key: the private half in PEM, and the public one as a
// line of authorized_keys.
func NewKey(comment string) (private, public string, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("making a deploy key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return "", "", fmt.Errorf("writing a deploy key: %w", err)
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", fmt.Errorf("writing a deploy key: %w", err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " " + comment, nil
}

// HostKey asks an SSH server for its key, without logging in, for its owner to
// compare: the line to pin, and its fingerprint.
func HostKey(ctx context.Context, address string) (line, fingerprint string, err error) {
	found := errors.New("seen")
	var key ssh.PublicKey
	config := &ssh.ClientConfig{User: "git", Timeout: dialTimeout, HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error { key = k; return found }}
	conn, err := dial(ctx, address, config)
	if conn != nil {
		_ = conn.Close()
	}
	if key == nil {
		return "", "", unreachable(address, err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), ssh.FingerprintSHA256(key), nil
}

// Fingerprint is that of a key in the form of HostKey.
func Fingerprint(line string) (string, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return "", fmt.Errorf("reading a host key: %w", err)
	}
	return ssh.FingerprintSHA256(key), nil
}

func unreachable(address string, err error) error {
	return agent.Errorf(agent.CodeGitHub, "see that the address is right and that the appliance has a way there, then try again", "%s does not answer by SSH: %w", address, err)
}

func dial(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("reading an address: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	host := net.JoinHostPort(u.Hostname(), port)
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	client, channels, requests, err := ssh.NewClientConn(conn, host, config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(client, channels, requests), nil
}

// tunnel leads git, which speaks its own protocol to a port of the loopback, to an
// SSH server. The path that git asks for holds a word that nobody else knows, so that no
// other process of the machine can use it.
type tunnel struct {
	address  string // git://127.0.0.1:PORT/WORD
	word     string
	path     string // at the server
	listener net.Listener
	client   *ssh.Client
	ended    sync.WaitGroup
}

// openTunnel logs in to the server. Its key must be the one that was pinned.
func openTunnel(ctx context.Context, r Remote) (*tunnel, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("reading a remote's address: %w", err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(r.Key))
	if err != nil {
		return nil, fmt.Errorf("reading a deploy key: %w", err)
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(r.HostKey))
	if err != nil {
		return nil, agent.Errorf(agent.CodeInvalid, "pin it again: hks pipeline edit APP --host-key LINE", "the key of %s is not known", u.Host)
	}
	changed := ""
	check := ssh.FixedHostKey(pinned)
	client, err := dial(ctx, r.URL, &ssh.ClientConfig{
		User: u.User.Username(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: dialTimeout, HostKeyAlgorithms: algorithms(pinned.Type()),
		HostKeyCallback: func(host string, addr net.Addr, key ssh.PublicKey) error {
			err := check(host, addr, key)
			if err != nil {
				changed = ssh.FingerprintSHA256(key)
			}
			return err
		},
	})
	switch {
	case changed != "":
		return nil, agent.Errorf(agent.CodeGitHub, "find out whether its owner changed it; then pin the new one", "the SSH server %s shows another key than the one that was pinned: %s", u.Host, changed)
	case err != nil && strings.Contains(err.Error(), "unable to authenticate"):
		return nil, agent.Errorf(agent.CodeGitHub, "add the deploy key that hks pipeline show prints to the repository, to read", "%s does not let the deploy key in", u.Host)
	case err != nil:
		return nil, unreachable(u.Host, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for git: %w", err), client.Close())
	}
	word := rand.Text()
	t := &tunnel{word: word, path: u.Path, listener: listener, client: client, address: "git://" + listener.Addr().String() + "/" + word}
	t.ended.Go(t.serve)
	return t, nil
}

// algorithms are those by which a server proves a key of that type.
func algorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

func (t *tunnel) close() {
	_ = t.listener.Close() // ends serve
	_ = t.client.Close()   // ends what is on its way
	t.ended.Wait()
}

func (t *tunnel) serve() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.ended.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = t.bridge(conn) // git sees the end of the connection, and says so
		})
	}
}

// bridge reads git's request and joins the connection with a session.
func (t *tunnel) bridge(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, maxRequest)
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	length, err := strconv.ParseUint(string(head), 16, 16)
	if err != nil || length < 5 || length > maxRequest {
		return errors.New("that is not git")
	}
	request := make([]byte, length-4)
	if _, err := io.ReadFull(in, request); err != nil {
		return err
	}
	asked, more, _ := strings.Cut(string(request), "\x00")
	if asked != "git-upload-pack /"+t.word {
		return errors.New("that is not the git that was begun")
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	session, err := t.client.NewSession()
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	if strings.Contains(more, "\x00version=2\x00") {
		_ = session.Setenv("GIT_PROTOCOL", "version=2") // a server that refuses answers as of old
	}
	session.Stdout = conn
	out, err := session.StdinPipe()
	if err != nil {
		return err
	}
	if err := session.Start("git-upload-pack '" + t.path + "'"); err != nil { // pathGrammar has no quotes
		return err
	}
	t.ended.Go(func() { // ends with the connection
		_, _ = io.Copy(out, in)
		_ = out.Close()
	})
	return session.Wait()
}
