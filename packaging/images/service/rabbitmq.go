package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// rabbitmq is RabbitMQ. It has one virtual host, named like the database, and
// its users may do everything in there. Backups hold what is defined (queues,
// exchanges, bindings, policies), and no messages.
type rabbitmq struct{ settings }

const (
	rabbitServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	rabbitCtl    = "/usr/lib/rabbitmq/bin/rabbitmqctl"
	rabbitPort   = "5672"
	rabbitNode   = "rabbit@localhost" // data is bound to the name, pods have others
	rabbitAnswer = 5 * time.Second
)

func (r rabbitmq) cookie() string { return filepath.Join(r.data, ".erlang.cookie") }

// environment is the same for the server and its tools.
func (r rabbitmq) environment() error {
	var failed error
	for name, value := range map[string]string{
		"HOME": r.data, "RABBITMQ_NODENAME": rabbitNode, "RABBITMQ_MNESIA_BASE": filepath.Join(r.data, "rabbitmq"), "RABBITMQ_LOG_BASE": "/tmp",
		"RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": filepath.Join(r.run, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE": filepath.Join(r.run, "enabled_plugins"),
		"RABBITMQ_PID_FILE": filepath.Join(r.run, "rabbitmq.pid"), "RABBITMQ_GENERATED_CONFIG_DIR": r.run, "RABBITMQ_CONF_ENV_FILE": "/dev/null",
		// One scheduler that does not spin: a queue of a small machine.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_CTL_ERL_ARGS":               "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
		"ERL_EPMD_ADDRESS":                    "127.0.0.1", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
	} {
		failed = errors.Join(failed, os.Setenv(name, value))
	}
	return failed
}

func (r rabbitmq) start(_ context.Context, settings []string) error {
	if err := r.environment(); err != nil {
		return err
	}
	if _, err := os.Stat(r.cookie()); errors.Is(err, fs.ErrNotExist) {
		if err := writeAll(r.cookie(), strings.NewReader(rand.Text()), 0o400); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("looking for the data: %w", err)
	}
	password, err := r.firstPassword()
	if err != nil {
		return err
	}
	// The first user is made with the data, and never again.
	lines := []string{
		"listeners.tcp.default = 0.0.0.0:" + rabbitPort, "default_vhost = " + r.database, "default_user = " + r.user, "default_pass = " + password,
		"default_user_tags.administrator = false", "default_permissions.configure = .*", "default_permissions.read = .*", "default_permissions.write = .*",
		fmt.Sprintf("total_memory_available_override_value = %d", r.memory), "vm_memory_high_watermark.relative = 0.6", "disk_free_limit.absolute = 64MB",
		"log.console = true", "log.console.level = warning", "log.connection.level = error" /* probes end early */, "loopback_users = none",
	}
	for _, setting := range settings { // the last one counts
		name, value, _ := strings.Cut(setting, "=")
		lines = append(lines, name+" = "+value)
	}
	err = errors.Join(
		writeAll(filepath.Join(r.run, "rabbitmq.conf"), strings.NewReader(strings.Join(lines, "\n")+"\n"), 0o600),
		writeAll(filepath.Join(r.run, "enabled_plugins"), strings.NewReader("[].\n"), 0o600))
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return become(rabbitServer)
}

// ready begins a connection as a client does: the server's first frame is its
// answer. Its own tools take a second and much memory for the same.
func (r rabbitmq) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rabbitAnswer)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", rabbitPort))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // only asked
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	// A method's frame (1) of channel 0, whose method is connection.start (10, 10).
	var frame [11]byte
	if _, err := io.ReadFull(conn, frame[:]); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	if frame[0] != 1 || !bytes.Equal(frame[7:], []byte{0, 10, 0, 10}) {
		return fmt.Errorf("it answers %x", frame)
	}
	return nil
}

func (r rabbitmq) control(ctx context.Context, args ...string) (string, error) {
	if err := r.environment(); err != nil {
		return "", err
	}
	return command(ctx, nil, rabbitCtl, append([]string{"--quiet", "--timeout", "60"}, args...)...)
}

func (r rabbitmq) users(ctx context.Context) ([]string, error) {
	out, err := r.control(ctx, "list_users", "--formatter", "json")
	if err != nil {
		return nil, err
	}
	var listed []struct {
		User string `json:"user"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	names := make([]string, len(listed))
	for i := range listed {
		names[i] = listed[i].User
	}
	return names, nil
}

// addUser imports the user with its password's hash: the tool takes passwords
// from command lines and terminals only.
func (r rabbitmq) addUser(ctx context.Context, name, password string) error {
	if !passwordGrammar.MatchString(password) {
		return errors.New("the password is not 16 to 128 letters and digits")
	}
	salt := make([]byte, 4)
	if _, err := rand.Read(salt); err != nil {
		return err
	}
	sum := sha256.Sum256(append(bytes.Clone(salt), password...))
	text, err := json.Marshal(map[string]any{
		"users": []any{map[string]any{
			"name": name, "password_hash": base64.StdEncoding.EncodeToString(append(salt, sum[:]...)), "hashing_algorithm": "rabbit_password_hashing_sha256",
			"tags": []string{}, "limits": map[string]any{},
		}},
		"permissions": []any{map[string]any{"user": name, "vhost": r.database, "configure": ".*", "read": ".*", "write": ".*"}},
	})
	if err != nil {
		return err
	}
	return r.define(ctx, text)
}

// define imports definitions.
func (r rabbitmq) define(ctx context.Context, text []byte) error {
	file := filepath.Join(r.run, "incoming.json")
	defer func() { _ = os.Remove(file) }() // in memory
	if err := writeAll(file, bytes.NewReader(text), 0o600); err != nil {
		return err
	}
	_, err := r.control(ctx, "import_definitions", file)
	return err
}

// dropUser removes the user; the server ends its connections.
func (r rabbitmq) dropUser(ctx context.Context, name string) error {
	names, err := r.users(ctx)
	if err != nil {
		return err
	}
	for _, there := range names {
		if there == name {
			_, err = r.control(ctx, "delete_user", name)
			return err
		}
	}
	return nil
}

// definitions are what is in the virtual host: kind -> list of objects. What
// is of users and of the server stays out, so that a restore brings no old
// password back.
type definitions map[string][]map[string]any

var definitionKinds = []string{"queues", "exchanges", "bindings", "policies", "parameters"}

func (r rabbitmq) definitions(ctx context.Context) (definitions, error) {
	file := filepath.Join(r.run, "outgoing.json")
	defer func() { _ = os.Remove(file) }() // in memory
	if _, err := r.control(ctx, "export_definitions", file); err != nil {
		return nil, err
	}
	out, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("reading the definitions: %w", err)
	}
	kept := definitions{}
	for _, kind := range definitionKinds {
		kept[kind] = []map[string]any{}
		if len(all[kind]) == 0 {
			continue
		}
		var objects []map[string]any
		if err := json.Unmarshal(all[kind], &objects); err != nil {
			return nil, fmt.Errorf("reading the %s: %w", kind, err)
		}
		for _, object := range objects {
			if object["vhost"] == r.database {
				kept[kind] = append(kept[kind], object)
			}
		}
	}
	return kept, nil
}

// tables counts and hashes the objects of each kind.
func (d definitions) tables() ([]Table, error) {
	tables := []Table{}
	for _, kind := range definitionKinds {
		sum := uint64(0)
		for _, object := range d[kind] {
			text, err := json.Marshal(object) // with sorted keys
			if err != nil {
				return nil, err
			}
			hash := fnv.New64a()
			_, _ = hash.Write(text) // never fails
			sum += hash.Sum64()
		}
		tables = append(tables, Table{Name: kind, Rows: int64(len(d[kind])), Checksum: strconv.FormatUint(sum, 16)})
	}
	sortTables(tables)
	return tables, nil
}

// among leaves only what is in saved too, as it is now.
func (d definitions) among(saved definitions) definitions {
	kept := definitions{}
	for _, kind := range definitionKinds {
		wanted := map[string]bool{}
		for _, object := range saved[kind] {
			wanted[identity(object)] = true
		}
		for _, object := range d[kind] {
			if wanted[identity(object)] {
				kept[kind] = append(kept[kind], object)
			}
		}
	}
	return kept
}

// identity is what tells objects of a kind apart.
func identity(object map[string]any) string {
	parts := make([]any, 0, 6)
	for _, field := range []string{"name", "component", "source", "destination", "destination_type", "routing_key"} {
		parts = append(parts, object[field])
	}
	if _, binding := object["source"]; binding {
		parts = append(parts, object["arguments"])
	}
	text, _ := json.Marshal(parts) // it came from JSON
	return string(text)
}

func (r rabbitmq) backup(ctx context.Context, out io.Writer) (Contents, error) {
	found, err := r.definitions(ctx)
	if err != nil {
		return Contents{}, err
	}
	tables, err := found.tables()
	if err != nil {
		return Contents{}, err
	}
	text, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		return Contents{}, err
	}
	_, err = out.Write(append(text, '\n'))
	return Contents{Tables: tables}, err
}

// restore defines what was saved, and leaves alone what is there beside it:
// messages wait in queues, and a restore that removed some would lose them.
func (r rabbitmq) restore(ctx context.Context, want Contents, in io.Reader) (Contents, func() error, error) {
	fail := func(err error) (Contents, func() error, error) { return Contents{}, nil, err }
	through := newMeasured()
	text, err := io.ReadAll(io.TeeReader(in, through))
	if err != nil {
		return fail(err)
	}
	if err := through.whole(want); err != nil {
		return fail(err)
	}
	var saved definitions
	if err := json.Unmarshal(text, &saved); err != nil {
		return fail(fmt.Errorf("reading the definitions: %w", err))
	}
	if err := r.define(ctx, text); err != nil {
		return fail(err)
	}
	now, err := r.definitions(ctx)
	if err != nil {
		return fail(err)
	}
	tables, err := now.among(saved).tables()
	if err != nil {
		return fail(err)
	}
	if difference := differs(want.Tables, tables); difference != "" {
		return fail(errors.New("what is defined now is not what was saved (something of the same name is there with other settings): " + difference))
	}
	return Contents{SHA256: want.SHA256, Bytes: want.Bytes, Tables: tables}, nil, nil
}
