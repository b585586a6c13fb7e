package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// valkey is Valkey, which speaks Redis's protocol. Every write is in its
// append-only file within a second. Users are in a file of the volume; the
// agent's verbs come in as the user hks, whose password is there too and
// works by the socket and the network alike.
type valkey struct{ settings }

const (
	valkeyServer = "/usr/bin/valkey-server"
	valkeyCLI    = "/usr/bin/valkey-cli"
	valkeyCheck  = "/usr/bin/valkey-check-rdb"

	// userRights are all that applications do, and nothing that changes how
	// the server runs.
	userRights = "~* &* +@all -@admin +info"
)

func (v valkey) usersFile() string    { return filepath.Join(v.data, "users.acl") }
func (v valkey) passwordFile() string { return filepath.Join(v.data, ".hks-password") }
func (v valkey) socket() string       { return filepath.Join(v.run, "valkey.sock") }
func (v valkey) journal() exchange    { return exchange{filepath.Join(v.data, "appendonlydir")} }

func userLine(name, password string) string {
	sum := sha256.Sum256([]byte(password))
	return fmt.Sprintf("user %s on #%s %s", name, hex.EncodeToString(sum[:]), userRights)
}

func (v valkey) start(_ context.Context, settings []string) error {
	if len(settings) > 0 {
		return errors.New("this server takes no further settings")
	}
	if _, err := os.Stat(v.usersFile()); errors.Is(err, fs.ErrNotExist) {
		if err := v.create(); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("looking for the users: %w", err)
	}
	if err := v.journal().take(); err != nil {
		return err
	}
	return become(valkeyServer, "--port", "6379", "--unixsocket", v.socket(), "--unixsocketperm", "700",
		"--dir", v.data, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
		"--aclfile", v.usersFile(), "--maxmemory", fmt.Sprintf("%dmb", v.megabytes(0.7, 16, 64<<10)), "--maxmemory-policy", "noeviction",
		"--daemonize", "no", "--logfile", "", "--protected-mode", "no", "--enable-debug-command", "local")
}

func (v valkey) ready(ctx context.Context) error {
	answer, err := v.ask(ctx, "PING")
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("it answers %q", answer)
	}
	return err
}

func (v valkey) create() error {
	password, err := v.firstPassword()
	if err != nil {
		return err
	}
	own := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(own))
	lines := []string{
		"user default off", fmt.Sprintf("user hks on #%s ~* &* +@all", hex.EncodeToString(sum[:])), userLine(v.user, password), "",
	}
	if err := os.WriteFile(v.passwordFile(), []byte(own), 0o600); err != nil {
		return err
	}
	made := v.usersFile() + ".new"
	if err := os.WriteFile(made, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return err
	}
	return errors.Join(os.Rename(made, v.usersFile()), syncFolder(v.data))
}

// ask runs one command on the server. The password goes by the environment.
func (v valkey) ask(ctx context.Context, args ...string) (string, error) {
	if err := v.authenticate(); err != nil {
		return "", err
	}
	out, err := command(ctx, nil, valkeyCLI, append([]string{"-s", v.socket(), "--user", "hks", "-e", "--raw"}, args...)...)
	return strings.TrimSpace(out), err
}

func (v valkey) authenticate() error {
	own, err := os.ReadFile(v.passwordFile())
	if err != nil {
		return fmt.Errorf("reading the own password: %w", err)
	}
	return os.Setenv("REDISCLI_AUTH", string(own))
}

func (v valkey) addUser(ctx context.Context, name, password string) error {
	if !passwordGrammar.MatchString(password) {
		return errors.New("the password is not 16 to 128 letters and digits")
	}
	words := strings.Fields(userLine(name, password))
	args := append([]string{"ACL", "SETUSER", name, "reset"}, words[2:]...)
	if _, err := v.ask(ctx, args...); err != nil {
		return err
	}
	_, err := v.ask(ctx, "ACL", "SAVE")
	return err
}

func (v valkey) dropUser(ctx context.Context, name string) error {
	if _, err := v.ask(ctx, "ACL", "DELUSER", name); err != nil { // ends its connections too
		return err
	}
	_, err := v.ask(ctx, "ACL", "SAVE")
	return err
}

// backup writes a snapshot as the server gives it to a replica. What is in it
// is counted in the snapshot itself, so that writes meanwhile do not matter.
func (v valkey) backup(ctx context.Context, out io.Writer) (Contents, error) {
	if err := v.authenticate(); err != nil {
		return Contents{}, err
	}
	snapshot := filepath.Join(v.data, "backup.rdb")
	defer func() { _ = os.Remove(snapshot) }() // the archive is what counts
	if _, err := command(ctx, nil, valkeyCLI, "-s", v.socket(), "--user", "hks", "--rdb", snapshot); err != nil {
		return Contents{}, err
	}
	tables, err := count(ctx, snapshot)
	if err != nil {
		return Contents{}, err
	}
	file, err := os.Open(snapshot)
	if err != nil {
		return Contents{}, err
	}
	defer func() { _ = file.Close() }() // only read
	_, err = io.Copy(out, file)
	return Contents{Tables: tables}, err
}

var keysRead = regexp.MustCompile(`(\d+) keys read`)

// count checks a snapshot and counts its keys.
func count(ctx context.Context, snapshot string) ([]Table, error) {
	out, err := command(ctx, nil, valkeyCheck, snapshot)
	if err != nil {
		return nil, fmt.Errorf("the snapshot is damaged: %w: %s", err, out)
	}
	found := keysRead.FindStringSubmatch(out)
	if found == nil {
		return nil, fmt.Errorf("the snapshot can't be counted: %s", out)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	return []Table{{Name: "keys", Rows: n}}, err
}

// restore lays the snapshot beside the data as the base of an append-only
// file and has the server stop; the next start takes it over. A server that is
// not told to stop, or a process that ends before, changes nothing.
func (v valkey) restore(ctx context.Context, want Contents, in io.Reader) (Contents, func() error, error) {
	journal := v.journal()
	if err := journal.begin(); err != nil {
		return Contents{}, nil, err
	}
	defer journal.drop()
	made := journal.making()
	base := filepath.Join(made, "appendonly.aof.1.base.rdb")
	m := newMeasured()
	if err := writeAll(base, io.TeeReader(in, m), 0o600); err != nil {
		return Contents{}, nil, err
	}
	if err := m.whole(want); err != nil {
		return Contents{}, nil, err
	}
	tables, err := count(ctx, base)
	if err != nil {
		return Contents{}, nil, err
	}
	if difference := differs(want.Tables, tables); difference != "" {
		return Contents{}, nil, errors.New("what was restored is not what was saved: " + difference)
	}
	list := "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
	for name, text := range map[string]string{"appendonly.aof.manifest": list, "appendonly.aof.1.incr.aof": ""} {
		if err := writeAll(filepath.Join(made, name), strings.NewReader(text), 0o600); err != nil {
			return Contents{}, nil, err
		}
	}
	if err := journal.commit(); err != nil {
		return Contents{}, nil, err
	}
	return Contents{SHA256: want.SHA256, Bytes: want.Bytes, Tables: tables}, stopServer, nil
}
