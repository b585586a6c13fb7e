package main

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// mariadb is MariaDB. Its superuser is the operating system's user of the
// container, by the socket only, and has no password.
type mariadb struct{ settings }

const (
	mariadbServer  = "/usr/sbin/mariadbd"
	mariadbInstall = "/usr/bin/mariadb-install-db"
	mariadbClient  = "/usr/bin/mariadb"
	mariadbDump    = "/usr/bin/mariadb-dump"

	systemUser    = "app" // of the base image
	mariadbRights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, DELETE HISTORY"

	mariadbStart = time.Minute // for a server with no network that a restore fills
)

func (m mariadb) folder() exchange { return exchange{filepath.Join(m.data, "mariadb")} }
func (m mariadb) socket() string   { return filepath.Join(m.run, "mariadb.sock") }

func (m mariadb) start(ctx context.Context, settings []string) error {
	folder := m.folder()
	if err := folder.take(); err != nil {
		return err
	}
	if _, err := os.Stat(folder.folder); errors.Is(err, fs.ErrNotExist) {
		if err := m.create(ctx); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("looking for the data: %w", err)
	}
	args := append(m.arguments(folder.folder, m.socket()), "--bind-address=0.0.0.0", "--port=3306", "--skip-name-resolve",
		"--max-connections=60", "--table-open-cache=400", "--event-scheduler=ON",
		fmt.Sprintf("--innodb-buffer-pool-size=%dM", m.megabytes(0.25, 16, 32<<10)))
	for _, setting := range settings { // the last one counts
		args = append(args, "--"+setting)
	}
	return become(mariadbServer, args...)
}

// arguments are those of every server, with a network or not.
func (m mariadb) arguments(folder, socket string) []string {
	return []string{
		"--no-defaults", "--datadir=" + folder, "--socket=" + socket, "--pid-file=" + socket + ".pid", "--tmpdir=/tmp",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_uca1400_ai_ci", "--default-time-zone=+00:00", "--performance-schema=OFF",
		"--innodb-log-file-size=32M", "--innodb-flush-log-at-trx-commit=1", "--max-allowed-packet=64M", "--aria-pagecache-buffer-size=8M", "--key-buffer-size=8M",
	}
}

func (m mariadb) ready(ctx context.Context) error {
	_, err := m.ask(ctx, m.socket(), "DO 1;\n")
	return err
}

// create makes the data folder beside its place and moves it there when it is whole.
func (m mariadb) create(ctx context.Context) error {
	password, err := m.firstPassword()
	if err != nil {
		return err
	}
	made := m.folder().folder + ".new"
	if err := m.blank(ctx, made); err != nil {
		return err
	}
	sql := fmt.Sprintf("FLUSH PRIVILEGES;\nCREATE DATABASE %s;\n", m.database) + m.userSQL(m.user, password)
	args := append(m.arguments(made, filepath.Join(m.run, "create.sock")), "--bootstrap", "--skip-networking")
	if _, err := command(ctx, strings.NewReader(sql), mariadbServer, args...); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(made, m.folder().folder), syncFolder(m.data)); err != nil {
		return fmt.Errorf("putting the data in its place: %w", err)
	}
	return nil
}

// blank makes a folder with the server's own tables and the superuser.
func (m mariadb) blank(ctx context.Context, folder string) error {
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return fmt.Errorf("clearing away what an earlier start left: %w", err)
	}
	_, err := command(ctx, nil, mariadbInstall, "--no-defaults", "--datadir="+folder, "--auth-root-authentication-method=socket", "--auth-root-socket-user="+systemUser,
		"--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=32M")
	return err
}

func (m mariadb) userSQL(name, password string) string {
	return fmt.Sprintf("CREATE OR REPLACE USER %[1]s@'%%' IDENTIFIED BY '%[2]s';\nGRANT %[3]s ON %[4]s.* TO %[1]s@'%%';\n", name, password, mariadbRights, m.database)
}

func (m mariadb) addUser(ctx context.Context, name, password string) error {
	if !passwordGrammar.MatchString(password) {
		return errors.New("the password is not 16 to 128 letters and digits")
	}
	_, err := m.ask(ctx, m.socket(), m.userSQL(name, password))
	return err
}

// definersSQL prints in whose name views, routines, triggers and events run.
const definersSQL = `SELECT DISTINCT substring_index(definer, '@', 1) FROM (
  SELECT definer FROM information_schema.views UNION SELECT definer FROM information_schema.routines
  UNION SELECT definer FROM information_schema.triggers UNION SELECT definer FROM information_schema.events) made
WHERE definer LIKE '%@\%';
`

// dropUser locks the user out, ends its connections and removes it; one in
// whose name views or triggers run stays, locked, for they would fail without.
func (m mariadb) dropUser(ctx context.Context, name string) error {
	there, err := m.ask(ctx, m.socket(), fmt.Sprintf("SELECT count(*) FROM mysql.global_priv WHERE user = '%s';\n", name))
	if err != nil || strings.TrimSpace(there) == "0" {
		return err
	}
	definers, err := m.ask(ctx, m.socket(), fmt.Sprintf("ALTER USER %[1]s@'%%' ACCOUNT LOCK;\nKILL USER %[1]s;\n", name)+definersSQL)
	if err != nil || slices.Contains(strings.Fields(definers), name) {
		return err
	}
	_, err = m.ask(ctx, m.socket(), fmt.Sprintf("DROP USER %s@'%%';\n", name))
	return err
}

// client makes the client a filter: rows as bare text, the first error ends it.
func (m mariadb) client(socket, database string) []string {
	args := []string{"--no-defaults", "--socket=" + socket, "--user=" + systemUser, "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4", "--max-allowed-packet=64M"}
	if database != "" {
		args = append(args, database)
	}
	return args
}

func (m mariadb) ask(ctx context.Context, socket, sql string) (string, error) {
	return command(ctx, strings.NewReader(sql), mariadbClient, m.client(socket, "")...)
}

// dump writes the database as SQL, in one snapshot of it, and counts and
// hashes the rows as they go by: what is told of is what was written.
func (m mariadb) dump(ctx context.Context, socket string, out io.Writer) ([]Table, error) {
	counted := newRows()
	err := piped(ctx, nil, io.MultiWriter(out, counted), mariadbDump, "--no-defaults", "--socket="+socket, "--user="+systemUser,
		"--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", "--events", "--skip-dump-date", "--skip-comments", "--tz-utc",
		"--default-character-set=utf8mb4", "--max-allowed-packet=64M", "--net-buffer-length=256K", m.database)
	if err != nil {
		return nil, err
	}
	return counted.tables(), nil
}

func (m mariadb) backup(ctx context.Context, out io.Writer) (Contents, error) {
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return Contents{}, err
	}
	tables, err := m.dump(ctx, m.socket(), packed)
	if err != nil {
		return Contents{}, err
	}
	return Contents{Tables: tables}, packed.Close()
}

// restore fills a database in a second server that nobody else reaches,
// compares it with what was saved, and gives it the users of now. The next
// start of the first server takes its folder over.
func (m mariadb) restore(ctx context.Context, want Contents, in io.Reader) (_ Contents, _ func() error, err error) {
	fail := func(err error) (Contents, func() error, error) { return Contents{}, nil, err }
	folder := m.folder()
	defer folder.drop()
	if err := m.blank(ctx, folder.making()); err != nil {
		return fail(err)
	}
	second, err := m.second(ctx, folder.making())
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, second.stop()) }() // twice is fine
	tables, err := m.fill(ctx, second.socket, want, in)
	if err != nil {
		return fail(err)
	}
	if err := m.moveUsers(ctx, second.socket); err != nil {
		return fail(err)
	}
	if err := second.stop(); err != nil {
		return fail(err)
	}
	if err := folder.commit(); err != nil {
		return fail(err)
	}
	return Contents{SHA256: want.SHA256, Bytes: want.Bytes, Tables: tables}, stopServer, nil
}

// fill reads an archive into a server and compares.
func (m mariadb) fill(ctx context.Context, socket string, want Contents, in io.Reader) ([]Table, error) {
	through := newMeasured()
	archive := io.TeeReader(in, through)
	if _, err := m.ask(ctx, socket, fmt.Sprintf("CREATE DATABASE %s;\n", m.database)); err != nil {
		return nil, err
	}
	sql, err := gzip.NewReader(archive)
	if err == nil {
		err = piped(ctx, sql, io.Discard, mariadbClient, m.client(socket, m.database)...)
	}
	if _, rest := io.Copy(io.Discard, archive); err == nil {
		err = rest
	}
	if damaged := through.whole(want); damaged != nil {
		return nil, damaged // the reason of whatever else went wrong
	}
	if err != nil {
		return nil, err
	}
	tables, err := m.dump(ctx, socket, io.Discard)
	if err != nil {
		return nil, err
	}
	if difference := differs(want.Tables, tables); difference != "" {
		return nil, errors.New("what was restored is not what was saved: " + difference)
	}
	return tables, nil
}

// moveUsers gives a second server the users of the first, passwords and all,
// and a locked one for each that views and triggers run as and that is gone.
func (m mariadb) moveUsers(ctx context.Context, socket string) error {
	names, err := m.ask(ctx, m.socket(), "SELECT user FROM mysql.global_priv WHERE host = '%' ORDER BY user;\n")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(names) {
		if !nameGrammar.MatchString(name) {
			continue // none of ours
		}
		made, err := m.ask(ctx, m.socket(), fmt.Sprintf("SHOW CREATE USER %[1]s@'%%';\nSHOW GRANTS FOR %[1]s@'%%';\n", name))
		if err != nil {
			return err
		}
		lines := slices.Collect(strings.Lines(made))
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i]) + ";\n"
		}
		if _, err := m.ask(ctx, socket, strings.Join(lines, "")); err != nil {
			return err
		}
	}
	definers, err := m.ask(ctx, socket, definersSQL)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(definers) {
		if !nameGrammar.MatchString(name) || slices.Contains(strings.Fields(names), name) {
			continue
		}
		if _, err := m.ask(ctx, socket, m.userSQL(name, rand.Text())+fmt.Sprintf("ALTER USER %s@'%%' ACCOUNT LOCK;\n", name)); err != nil {
			return err
		}
	}
	return nil
}

// secondServer is a server beside the first one, without a network.
type secondServer struct {
	socket string
	cmd    *exec.Cmd
	words  *tail
	ended  bool
}

func (m mariadb) second(ctx context.Context, folder string) (*secondServer, error) {
	s := &secondServer{socket: filepath.Join(m.run, "restore.sock"), words: &tail{}}
	args := append(m.arguments(folder, s.socket), "--skip-networking", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=2", "--skip-log-bin")
	s.cmd = exec.Command(mariadbServer, args...) // it ends by stop, in good order
	s.cmd.Stderr = s.words
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a second server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, mariadbStart)
	defer cancel()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for {
		_, err := m.ask(ctx, s.socket, "DO 1;\n")
		if err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("the second server does not get ready: %w: %s", err, strings.TrimSpace(string(*s.words))), s.stop())
		case <-pause.C:
		}
	}
}

// stop ends the server and waits until its data is on disk.
func (s *secondServer) stop() error {
	if s.ended {
		return nil
	}
	s.ended = true
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(fmt.Errorf("stopping the second server: %w", err), s.cmd.Wait())
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the second server ended badly: %w: %s", err, strings.TrimSpace(string(*s.words)))
	}
	return nil
}
