package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// postgres is PostgreSQL. A role without a login, named like the database,
// owns everything; users are members of it and act as it from their first
// statement on, so that a user can be exchanged without anything changing
// hands. The superuser has no password: it comes in by the socket only, which
// is the container's own.
type postgres struct{ settings }

const (
	postgresBin   = "/usr/lib/postgresql/17/bin"
	postgresMajor = "17"
	superuser     = "postgres"
)

func (p postgres) folder() string { return filepath.Join(p.data, "postgresql") }

// swapMark is there while a restored database takes the place of another.
func (p postgres) swapMark() string { return filepath.Join(p.data, "restore-under-way") }

func program(name string) string { return filepath.Join(postgresBin, name) }

func (p postgres) start(ctx context.Context, settings []string) error {
	major, err := os.ReadFile(filepath.Join(p.folder(), "PG_VERSION"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := p.create(ctx); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("reading the version of the data: %w", err)
	case strings.TrimSpace(string(major)) != postgresMajor:
		return fmt.Errorf("the data is of PostgreSQL %s, this is PostgreSQL %s: nothing was changed; restore a backup into a new instance to move over", strings.TrimSpace(string(major)), postgresMajor)
	}
	if _, err := os.Stat(p.swapMark()); err == nil {
		if err := p.single(ctx, p.folder(), fmt.Sprintf("UPDATE pg_database SET datallowconn = true WHERE datname = '%s';\n", p.database)); err != nil {
			return err
		}
		if err := os.Remove(p.swapMark()); err != nil {
			return err
		}
	}
	args := []string{"-D", p.folder()}
	defaults := []string{
		"listen_addresses=*", "unix_socket_directories=" + p.run,
		"max_connections=60",
		fmt.Sprintf("shared_buffers=%dMB", p.megabytes(0.25, 16, 8<<10)),
		fmt.Sprintf("effective_cache_size=%dMB", p.megabytes(0.6, 32, 32<<10)),
		fmt.Sprintf("maintenance_work_mem=%dMB", p.megabytes(0.08, 16, 512)),
		"max_wal_size=256MB", "min_wal_size=64MB", "wal_compression=zstd",
		"password_encryption=scram-sha-256", "log_timezone=UTC", "log_line_prefix=", "log_checkpoints=off", "jit=off",
	}
	for _, setting := range slices.Concat(defaults, settings) { // the last one counts
		args = append(args, "-c", setting)
	}
	return become(program("postgres"), args...)
}

func (p postgres) ready(ctx context.Context) error {
	_, err := command(ctx, nil, program("pg_isready"), "-q", "-h", p.run, "-d", p.database)
	return err
}

// create makes the data folder beside its place and moves it there when it is whole.
func (p postgres) create(ctx context.Context) error {
	password, err := p.firstPassword()
	if err != nil {
		return err
	}
	made := p.folder() + ".new"
	if err := os.RemoveAll(made); err != nil {
		return fmt.Errorf("clearing away what an earlier start left: %w", err)
	}
	_, err = command(ctx, nil, program("initdb"), "-D", made, "--username="+superuser, "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
		"--builtin-locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums", "--no-instructions")
	if err != nil {
		return err
	}
	hba, err := os.OpenFile(filepath.Join(made, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = hba.WriteString("host all all all scram-sha-256\n")
	if err := errors.Join(err, hba.Sync(), hba.Close()); err != nil {
		return fmt.Errorf("writing who may connect: %w", err)
	}
	sql := fmt.Sprintf("CREATE ROLE %[1]s NOLOGIN;\nCREATE DATABASE %[1]s OWNER %[1]s;\n", p.database) + userSQL(p.database, p.user, password)
	if err := p.single(ctx, made, sql); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(made, p.folder()), syncFolder(p.data)); err != nil {
		return fmt.Errorf("putting the data in its place: %w", err)
	}
	return nil
}

// single runs statements, one a line, with no server running.
func (p postgres) single(ctx context.Context, folder, sql string) error {
	_, err := command(ctx, strings.NewReader(sql), program("postgres"), "--single", "-D", folder, "-c", "exit_on_error=on", superuser)
	return err
}

func userSQL(owner, name, password string) string {
	return fmt.Sprintf("CREATE ROLE %[2]s LOGIN PASSWORD '%[3]s' IN ROLE %[1]s;\nALTER ROLE %[2]s SET role = '%[1]s';\n", owner, name, password)
}

func (p postgres) addUser(ctx context.Context, name, password string) error {
	if !passwordGrammar.MatchString(password) {
		return errors.New("the password is not 16 to 128 letters and digits")
	}
	there, err := p.ask(ctx, superuser, fmt.Sprintf("SELECT count(*) FROM pg_roles WHERE rolname = '%s';\n", name))
	if err != nil {
		return err
	}
	sql := userSQL(p.database, name, password)
	if strings.TrimSpace(there) != "0" {
		sql = fmt.Sprintf("ALTER ROLE %s LOGIN PASSWORD '%s';\n", name, password)
	}
	_, err = p.ask(ctx, superuser, "BEGIN;\n"+sql+"COMMIT;\n")
	return err
}

func (p postgres) dropUser(ctx context.Context, name string) error {
	there, err := p.ask(ctx, superuser, fmt.Sprintf("SELECT count(*) FROM pg_roles WHERE rolname = '%s';\n", name))
	if err != nil || strings.TrimSpace(there) == "0" {
		return err
	}
	if _, err := p.ask(ctx, superuser, fmt.Sprintf("ALTER ROLE %[1]s NOLOGIN;\nSELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%[1]s';\n", name)); err != nil {
		return err
	}
	databases, err := p.ask(ctx, superuser, "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate;\n")
	if err != nil {
		return err
	}
	for _, database := range strings.Fields(databases) {
		if _, err := p.ask(ctx, database, fmt.Sprintf("REASSIGN OWNED BY %[1]s TO %[2]s;\nDROP OWNED BY %[1]s;\n", name, p.database)); err != nil {
			return err
		}
	}
	_, err = p.ask(ctx, superuser, fmt.Sprintf("DROP ROLE %s;\n", name))
	return err
}

// psqlArgs make psql a filter: rows as bare text, the first error ends it.
func (p postgres) psqlArgs(database string) []string {
	return []string{"-XAtq", "-v", "ON_ERROR_STOP=1", "-h", p.run, "-U", superuser, "-d", database}
}

func (p postgres) ask(ctx context.Context, database, sql string) (string, error) {
	return command(ctx, strings.NewReader(sql), program("psql"), p.psqlArgs(database)...)
}

// tablesSQL prints each table as JSON: its rows and the sum of their hashes.
const tablesSQL = `SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET intervalstyle = 'postgres';
SELECT format('SELECT json_build_object(''name'', %L, ''rows'', count(*), ''checksum'', coalesce(sum(hashtextextended(hks_row::text, 0)), 0)::text) FROM ONLY %I.%I hks_row',
  n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 \gexec
\echo end
`

func readTables(lines *bufio.Scanner) ([]Table, error) {
	tables := []Table{}
	for lines.Scan() {
		if lines.Text() == "end" {
			sortTables(tables)
			return tables, nil
		}
		var t Table
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("reading what is in a table: %w", err)
		}
		tables = append(tables, t)
	}
	return nil, errors.Join(errors.New("psql ended before it had told all"), lines.Err())
}

// backup dumps the database in a snapshot, and looks at the tables in the very same one.
func (p postgres) backup(ctx context.Context, out io.Writer) (Contents, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session := exec.CommandContext(ctx, program("psql"), p.psqlArgs(p.database)...)
	var words tail
	session.Stderr = &words
	in, err := session.StdinPipe()
	if err != nil {
		return Contents{}, err
	}
	answers, err := session.StdoutPipe()
	if err != nil {
		return Contents{}, err
	}
	if err := session.Start(); err != nil {
		return Contents{}, fmt.Errorf("starting psql: %w", err)
	}
	defer func() { _ = in.Close(); _ = session.Wait() }() // all it had to tell was read
	said := func(err error) error { return fmt.Errorf("%w %s", err, strings.TrimSpace(string(words))) }
	lines := bufio.NewScanner(answers)
	lines.Buffer(nil, 1<<20)
	if _, err := io.WriteString(in, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT pg_export_snapshot();\n"); err != nil {
		return Contents{}, said(err)
	}
	if !lines.Scan() {
		return Contents{}, said(errors.New("the database gave no snapshot:"))
	}
	err = piped(ctx, nil, out, program("pg_dump"), "-h", p.run, "-U", superuser, "-d", p.database,
		"--format=custom", "--compress=zstd:3", "--snapshot="+lines.Text())
	if err != nil {
		return Contents{}, err
	}
	if _, err := io.WriteString(in, tablesSQL); err != nil {
		return Contents{}, said(err)
	}
	tables, err := readTables(lines)
	if err != nil {
		return Contents{}, said(err)
	}
	return Contents{Tables: tables}, nil
}

// restore fills a new database, compares it with what was saved, and only then
// exchanges the names of the two. The one that was there stays as
// NAME_before until the next restore.
func (p postgres) restore(ctx context.Context, want Contents, in io.Reader) (Contents, func() error, error) {
	filled, before := p.database+"_restore", p.database+"_before"
	drop := func(ctx context.Context, name string) error {
		_, err := p.ask(ctx, superuser, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE);\n", name))
		return err
	}
	if err := drop(ctx, filled); err != nil {
		return Contents{}, nil, err
	}
	if _, err := p.ask(ctx, superuser, fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0;\n", filled, p.database)); err != nil {
		return Contents{}, nil, err
	}
	tables, err := p.fill(ctx, filled, want, in)
	if err != nil {
		return Contents{}, nil, errors.Join(err, drop(context.WithoutCancel(ctx), filled))
	}
	if err := drop(ctx, before); err != nil {
		return Contents{}, nil, err
	}
	return Contents{SHA256: want.SHA256, Bytes: want.Bytes, Tables: tables}, nil, p.swap(context.WithoutCancel(ctx), filled, before)
}

func (p postgres) fill(ctx context.Context, database string, want Contents, in io.Reader) ([]Table, error) {
	m := newMeasured()
	archive := io.TeeReader(in, m)
	err := piped(ctx, archive, io.Discard, program("pg_restore"), "-h", p.run, "-U", superuser, "-d", database,
		"--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", "--role="+p.database)
	if _, rest := io.Copy(io.Discard, archive); err == nil {
		err = rest
	}
	if damaged := m.whole(want); damaged != nil {
		return nil, damaged // the reason of whatever else went wrong
	}
	if err != nil {
		return nil, err
	}
	out, err := p.ask(ctx, database, tablesSQL)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewBufferString(out))
	lines.Buffer(nil, 1<<20)
	tables, err := readTables(lines)
	if err != nil {
		return nil, err
	}
	if difference := differs(want.Tables, tables); difference != "" {
		return nil, errors.New("what was restored is not what was saved: " + difference)
	}
	return tables, nil
}

// swap exchanges two databases in one transaction. Nobody may come in
// meanwhile; the mark lets the next start open the door again if this process
// ends in between.
func (p postgres) swap(ctx context.Context, filled, before string) error {
	if err := os.WriteFile(p.swapMark(), nil, 0o600); err != nil {
		return err
	}
	sql := fmt.Sprintf(`ALTER DATABASE %[1]s ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '%[1]s';
BEGIN;
ALTER DATABASE %[1]s RENAME TO %[3]s;
ALTER DATABASE %[2]s RENAME TO %[1]s;
COMMIT;
`, p.database, filled, before)
	_, err := p.ask(ctx, superuser, sql)
	if err != nil {
		_, open := p.ask(ctx, superuser, fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true;\n", p.database))
		err = errors.Join(err, open)
	}
	return errors.Join(err, os.Remove(p.swapMark()))
}
