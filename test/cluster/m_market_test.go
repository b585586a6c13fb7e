package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// notes is what the sample keeps in its database.
type notes struct {
	Notes []string `json:"notes"`
	Login string   `json:"login"`
	Role  string   `json:"role"`
}

func readNotes(t *testing.T, client *http.Client, url string) (n notes, failure string) {
	t.Helper()
	body, response := get(t, client, url+"/notes")
	if response.StatusCode != http.StatusOK {
		return n, response.Status + " " + body
	}
	if err := json.Unmarshal([]byte(body), &n); err != nil {
		return n, err.Error() + " " + body
	}
	return n, ""
}

func writeNote(t *testing.T, client *http.Client, url, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/notes?text="+text, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("writing a note: %s %s", response.Status, body)
	}
}

// wantNotes waits until the sample shows exactly these notes.
func wantNotes(t *testing.T, client *http.Client, url string, want ...string) notes {
	t.Helper()
	var got notes
	eventually(t, 90*time.Second, func() string {
		var failure string
		if got, failure = readNotes(t, client, url); failure != "" {
			return failure
		}
		if !slices.Equal(got.Notes, want) {
			return "the notes are " + strings.Join(got.Notes, ", ")
		}
		return ""
	})
	return got
}

func inWorkspace(t *testing.T, args ...string) string {
	t.Helper()
	out, err := kubectl(t, append([]string{"-n", workspace}, args...)...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// psql runs SQL by `hks connect`.
func psql(t *testing.T, service, sql string) string {
	t.Helper()
	r := tryInput(t, sql, "connect", service)
	if r.exit != 0 {
		t.Fatalf("psql: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	return r.stdout
}

func serviceGone(t *testing.T, name string) {
	t.Cleanup(func() {
		appliance.leaving.Wait() // an app that is bound to it
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "market", "uninstall", name, "--force", "--purge", "--yes")
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "no service") {
			t.Logf("removing %s: %v\n%s", name, err, out)
		}
	})
}

func refusedWith(t *testing.T, want []string, args ...string) {
	t.Helper()
	r := try(t, args...)
	if r.exit == 0 {
		t.Fatalf("hks %s went through:\n%s", strings.Join(args, " "), r.stdout)
	}
	for _, word := range append(want, "fix: ") {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("hks %s: no %q in:\n%s", strings.Join(args, " "), word, r.stderr)
		}
	}
}

func TestA15StorageOverThePlanIsRefusedBeforeAnythingIsMade(t *testing.T) {
	refusedWith(t, []string{"11 GiB", "hobby", "10 GiB", "plan upgrade"}, "market", "install", "postgresql", "large", "--storage", "11Gi")
	for _, kind := range []string{"pvc", "secrets", "statefulsets"} {
		if out := inWorkspace(t, "get", kind, "-o", "name"); strings.Contains(out, "large") {
			t.Errorf("something was made: %s", out)
		}
	}
	refusedWith(t, []string{"there is no service"}, "market", "show", "large")
	refusedWith(t, []string{"storage"}, "market", "install", "postgresql", "large", "--storage", "plenty")
	refusedWith(t, []string{"memmory"}, "market", "install", "postgresql", "large", "--set", "memmory=1Gi")
	refusedWith(t, []string{"set by the platform"}, "market", "install", "postgresql", "large", "--set", "image=evil:1")
	refusedWith(t, []string{"did you mean postgresql"}, "market", "install", "postgresq", "large")
}

func TestA12PostgreSQLServesABoundApp(t *testing.T) {
	quiet(t)
	client := browser(t)
	serviceGone(t, "db")
	t.Logf("the agent takes %s before", residentOf(t, "agent"))
	begin := time.Now()
	hks(t, "market", "install", "postgresql", "db")
	t.Logf("installed in %s", time.Since(begin).Round(100*time.Millisecond))
	t.Logf("the agent takes %s after", residentOf(t, "agent"))
	hks(t, "market", "test", "db")
	remove(t, "notes")
	url := lastLine(hks(t, "deploy", "--source", project(t, "notes")))
	hks(t, "bind", "notes", "db")
	writeNote(t, client, url, "first")
	got := wantNotes(t, client, url, "first")
	if got.Role != "app" || got.Login != "app_1" {
		t.Errorf("the app is %s as %s", got.Login, got.Role)
	}
	secrets := ask[agent.Credentials](t, "market", "show", "db", "--credentials")
	password := secrets.Env["PGPASSWORD"]
	if password == "" || !strings.Contains(secrets.URL, password) {
		t.Fatalf("no credentials: %v", len(secrets.Env))
	}

	t.Run("A12 rows survive a kill of the pod", func(t *testing.T) {
		inWorkspace(t, "delete", "pod", "db-0", "--grace-period=0", "--force")
		writeEventually(t, client, url, "second")
		wantNotes(t, client, url, "first", "second")
	})
	t.Run("A15 bad changes are refused", func(t *testing.T) {
		refusedWith(t, []string{"already"}, "market", "install", "valkey", "db")
		refusedWith(t, []string{"shrink"}, "market", "upgrade", "db", "--storage", "512Mi")
		refusedWith(t, []string{"bound to notes/staging"}, "market", "uninstall", "db", "--yes")
		refusedWith(t, []string{"11 GiB"}, "market", "upgrade", "db", "--storage", "12Gi")
	})
	t.Run("an upgrade shows what it changes, and keeps rows and credentials", func(t *testing.T) {
		changes := ask[[]agent.Change](t, "market", "upgrade", "db", "--set", "memory=320Mi", "--dry-run")
		if len(changes) != 2 || !strings.Contains(changes[0].Field, "resources") {
			t.Errorf("got %+v", changes)
		}
		hks(t, "market", "upgrade", "db", "--set", "memory=320Mi")
		wantNotes(t, client, url, "first", "second")
		if again := ask[agent.Credentials](t, "market", "show", "db", "--credentials"); again.Env["PGPASSWORD"] != password {
			t.Error("the password is another one")
		}
	})
	backup := backupOf(t, "db")
	t.Run("a backup is proved in a scratch instance", func(t *testing.T) {
		begin := time.Now()
		hks(t, "backup", "verify", "db")
		t.Logf("verified in %s", time.Since(begin).Round(100*time.Millisecond))
		if b := ask[[]agent.Backup](t, "backup", "list", "db")[0]; b.Verified == nil || !b.Verified.Good || b.Tables[0].Rows != 2 {
			t.Errorf("got %+v", b)
		}
		if out := inWorkspace(t, "get", "jobs", "-o", "name"); strings.Contains(out, "verify") {
			t.Errorf("the scratch instance stays: %s", out)
		}
	})
	t.Run("a dropped table comes back", func(t *testing.T) {
		psql(t, "db", "DROP TABLE notes;\n")
		if _, failure := readNotes(t, client, url); failure == "" {
			t.Fatal("the table is still there")
		}
		hks(t, "backup", "restore", "db", itoa(backup.ID), "--yes")
		wantNotes(t, client, url, "first", "second")
	})
	t.Run("a damaged archive is refused, and nothing is touched", func(t *testing.T) {
		bad := backupOf(t, "db")
		file := filepath.Join("/var/lib/hks/backups/db", itoa(bad.ID)+".backup")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, []string{"damaged", "nothing was touched"}, "backup", "restore", "db", itoa(bad.ID), "--yes")
		refusedWith(t, []string{"damaged"}, "backup", "verify", "db", itoa(bad.ID))
		wantNotes(t, client, url, "first", "second")
		hks(t, "backup", "delete", "db", itoa(bad.ID), "--yes")
	})
	t.Run("credentials are exchanged while the app serves", func(t *testing.T) {
		load := startLoadOf(t, url+"/notes", "second")
		hks(t, "market", "rotate", "db")
		sent, failed := load.stop()
		if len(failed) > 0 {
			t.Errorf("%d of %d requests failed: %s", len(failed), sent, failed[0])
		}
		if got := wantNotes(t, client, url, "first", "second"); got.Login != "app_2" {
			t.Errorf("the app is %s", got.Login)
		}
		if out := psql(t, "db", "SELECT count(*) FROM pg_roles WHERE rolname = 'app_1';\n"); !strings.Contains(out, "0") {
			t.Errorf("the first user is still there: %s", out)
		}
	})
	t.Run("A96 killed in the middle of backup, upgrade and rotation, it goes on", func(t *testing.T) {
		for _, command := range [][]string{{"backup", "create", "db"}, {"market", "upgrade", "db", "--set", "memory=256Mi"}, {"market", "rotate", "db"}} {
			job := ask[agent.ServiceJob](t, append(command, "--no-wait")...)
			kill(t, "agent")
			up(t)
			jobSucceeds(t, job)
		}
		wantNotes(t, client, url, "first", "second")
	})
	t.Run("A21 the password shows nowhere", func(t *testing.T) {
		now := ask[agent.Credentials](t, "market", "show", "db", "--credentials").Env["PGPASSWORD"]
		for _, secret := range []string{password, now} {
			noTrace(t, secret)
		}
	})
	t.Run("A12 rows survive a restart of the engine", func(t *testing.T) {
		before := pidOf(t, "k3s")
		kill(t, "k3s")
		eventually(t, time.Minute, func() string {
			if pidOf(t, "k3s") == before {
				return "it is not started again"
			}
			return ""
		})
		eventually(t, 2*time.Minute, func() string {
			if r := try(t, "market", "show", "db", "--credentials"); r.exit != 0 {
				return r.stderr
			}
			return ""
		})
		healthy(t)
		wantNotes(t, client, url, "first", "second")
	})
	t.Run("removed, it comes back with its rows", func(t *testing.T) {
		hks(t, "unbind", "notes", "db")
		hks(t, "market", "uninstall", "db", "--yes")
		if s := ask[agent.Service](t, "market", "show", "db"); s.Status != agent.ServiceRemoved || s.KeptUntil.IsZero() {
			t.Errorf("it is %s until %s", s.Status, s.KeptUntil)
		}
		hks(t, "market", "install", "postgresql", "db")
		hks(t, "bind", "notes", "db")
		wantNotes(t, client, url, "first", "second")
	})
}

// residentOf is the resident memory of one of the appliance's own processes.
func residentOf(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/" + itoa(int64(pidOf(t, name))) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func backupOf(t *testing.T, service string) agent.Backup {
	t.Helper()
	hks(t, "backup", "create", service)
	return ask[[]agent.Backup](t, "backup", "list", service)[0]
}

// writeEventually writes a note once the database is back.
func writeEventually(t *testing.T, client *http.Client, url, text string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if pod := inWorkspace(t, "get", "pods", "db-0", "--ignore-not-found", "-o", "jsonpath={.status.containerStatuses[0].ready}"); pod != "true" {
			return "its pod is not ready"
		}
		_, failure := readNotes(t, client, url)
		return failure
	})
	writeNote(t, client, url, text)
}

func jobSucceeds(t *testing.T, job agent.ServiceJob) {
	t.Helper()
	eventually(t, 3*time.Minute, func() string {
		r := try(t, "market", "show", job.Service, "--json")
		var s agent.Service
		if err := json.Unmarshal([]byte(r.stdout), &s); err != nil || s.Job == nil {
			return r.stderr
		}
		if s.Job.ID == job.ID && s.Job.Status == agent.RunSucceeded {
			return ""
		}
		if s.Job.Status == agent.RunFailed {
			t.Fatalf("the %s failed: %+v", job.Kind, s.Job.Failure)
		}
		return job.Kind + " is " + string(s.Job.Status)
	})
}

// noTrace looks for a secret in logs, command lines and API answers.
func noTrace(t *testing.T, secret string) {
	t.Helper()
	for _, folder := range []string{"/var/log/hks", "/var/log/pods"} {
		err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil //nolint:nilerr // logs are rotated meanwhile
			}
			if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(secret)) {
				t.Errorf("it is in %s", path)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		if data, err := os.ReadFile(process); err == nil && bytes.Contains(data, []byte(secret)) {
			t.Errorf("it is in %s: %q", process, data)
		}
	}
	for _, args := range [][]string{{"market", "show", "db"}, {"market", "list"}, {"backup", "list", "db"}, {"activity"}, {"env", "list", "notes"}, {"releases", "notes"}} {
		if r := try(t, append(args, "--json")...); strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("hks %s tells it", strings.Join(args, " "))
		}
	}
}

func TestA12ValkeyKeepsItsKeys(t *testing.T) {
	serviceGone(t, "cache")
	hks(t, "market", "install", "valkey", "cache")
	hks(t, "market", "test", "cache")
	held := ask[agent.Credentials](t, "market", "show", "cache", "--credentials")
	if !strings.HasPrefix(held.URL, "redis://app_1:") {
		t.Fatal("it has no address")
	}
	client := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(inWorkspace(t, append([]string{"exec", "cache-0", "--", "env", "REDISCLI_AUTH=" + held.Env["REDIS_PASSWORD"], "valkey-cli", "--user", held.Env["REDIS_USERNAME"]}, args...)...))
	}
	client("SET", "greeting", "hello")
	if answer := client("CONFIG", "GET", "dir"); !strings.Contains(answer, "NOPERM") {
		t.Errorf("an app may look at the settings: %s", answer)
	}
	backup := backupOf(t, "cache")
	hks(t, "backup", "verify", "cache")
	client("DEL", "greeting")
	hks(t, "backup", "restore", "cache", itoa(backup.ID), "--yes")
	if answer := client("GET", "greeting"); answer != "hello" {
		t.Errorf("after the restore: %s", answer)
	}
	client("SET", "more", "words")
	inWorkspace(t, "delete", "pod", "cache-0", "--grace-period=0", "--force")
	eventually(t, time.Minute, func() string {
		return strings.TrimPrefix(inWorkspace(t, "get", "pods", "cache-0", "--ignore-not-found", "-o", "jsonpath={.status.containerStatuses[0].ready}"), "true")
	})
	eventually(t, time.Minute, func() string {
		if s := ask[agent.Service](t, "market", "show", "cache"); s.Status != agent.ServiceRunning {
			return string(s.Status) + s.Reason
		}
		return ""
	})
	if answer := client("GET", "more"); answer != "words" {
		t.Errorf("after the kill: %s", answer)
	}
	hks(t, "market", "rotate", "cache")
	if again := ask[agent.Credentials](t, "market", "show", "cache", "--credentials"); again.Env["REDIS_USERNAME"] != "app_2" {
		t.Errorf("the user is %s", again.Env["REDIS_USERNAME"])
	}
}

// held are a service's credentials as a bound app gets them.
func held(t *testing.T, service string) map[string]string {
	t.Helper()
	return ask[agent.Credentials](t, "market", "show", service, "--credentials").Env
}

// TestA12MoreServices installs MariaDB, RabbitMQ and the object store side by
// side and takes each through log-in, backup, proof, loss, restore and rotation.
func TestA12MoreServices(t *testing.T) {
	var jobs []agent.ServiceJob
	for _, s := range []struct{ chart, name, size string }{{"mariadb", "maria", "512Mi"}, {"rabbitmq", "queue", "512Mi"}, {"s3", "store", "512Mi"}} {
		serviceGone(t, s.name)
		jobs = append(jobs, ask[agent.ServiceJob](t, "market", "install", s.chart, s.name, "--storage", s.size, "--no-wait"))
	}
	kill(t, "agent") // A96: in the middle of three installs
	up(t)
	for _, job := range jobs {
		jobSucceeds(t, job)
		hks(t, "market", "test", job.Service)
	}
	sql := func(statements string) string {
		t.Helper()
		env := held(t, "maria")
		return strings.TrimSpace(inWorkspace(t, "exec", "maria-0", "--", "env", "MYSQL_PWD="+env["MYSQL_PASSWORD"],
			"mariadb", "--no-defaults", "-N", "-h", "maria", "-u", env["MYSQL_USER"], env["MYSQL_DATABASE"], "-e", statements))
	}
	policy := func(args ...string) string {
		t.Helper()
		return inWorkspace(t, append([]string{"exec", "queue-0", "--", "env", "HOME=/data", "RABBITMQ_NODENAME=rabbit@localhost", "/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet"}, args...)...)
	}
	t.Run("MariaDB: a dropped table comes back, by the copy in the object store", func(t *testing.T) {
		sql("CREATE TABLE notes (id int PRIMARY KEY AUTO_INCREMENT, text varchar(80)); INSERT INTO notes (text) VALUES ('first'), ('second;\n(3)'); CREATE VIEW seen AS SELECT text FROM notes")
		env := held(t, "store")
		address := strings.TrimSpace(inWorkspace(t, "get", "service", "store", "-o", "jsonpath={.spec.clusterIP}"))
		if r := tryInput(t, env["AWS_SECRET_ACCESS_KEY"]+"\n", "backup", "target", "--endpoint", "http://"+address+":9000", "--bucket", env["S3_BUCKET"],
			"--region", env["AWS_REGION"], "--access-key", env["AWS_ACCESS_KEY_ID"], "--secret-from-file", "-"); r.exit != 0 {
			t.Fatalf("setting the target: %s%s", r.stdout, r.stderr)
		}
		backup := backupOf(t, "maria")
		if len(backup.Tables) != 1 || backup.Tables[0].Rows != 2 || !strings.HasPrefix(backup.Remote, "s3://app/maria/") {
			t.Fatalf("got %+v", backup)
		}
		if err := os.Remove(filepath.Join("/var/lib/hks/backups/maria", itoa(backup.ID)+".backup")); err != nil {
			t.Fatal(err)
		}
		sql("DROP TABLE notes")
		hks(t, "backup", "verify", "maria")
		hks(t, "backup", "restore", "maria", itoa(backup.ID), "--yes")
		if got := sql("SELECT count(*) FROM seen; SELECT text FROM notes WHERE id = 1"); got != "2\nfirst" {
			t.Errorf("after the restore: %q", got)
		}
		hks(t, "backup", "target", "--none")
		hks(t, "market", "rotate", "maria")
		if got := sql("SELECT count(*) FROM seen"); got != "2" { // a view of the user that is gone
			t.Errorf("after the rotation: %q", got)
		}
	})
	t.Run("RabbitMQ: what was defined comes back", func(t *testing.T) {
		policy("set_policy", "-p", "app", "short", "^jobs", `{"max-length":1000}`)
		backup := backupOf(t, "queue")
		policy("clear_policy", "-p", "app", "short")
		hks(t, "backup", "verify", "queue")
		hks(t, "backup", "restore", "queue", itoa(backup.ID), "--yes")
		if out := policy("list_policies", "-p", "app"); !strings.Contains(out, "max-length") {
			t.Errorf("after the restore: %s", out)
		}
		hks(t, "market", "rotate", "queue")
		hks(t, "market", "test", "queue")
		if out := policy("list_users"); !strings.Contains(out, "app_2") || strings.Contains(out, "app_1") {
			t.Errorf("the users are %s", out)
		}
	})
	t.Run("object store: objects come back", func(t *testing.T) {
		backup := backupOf(t, "store")
		if len(backup.Tables) != 1 || backup.Tables[0].Rows != 1 { // MariaDB's copy
			t.Errorf("got %+v", backup.Tables)
		}
		hks(t, "backup", "verify", "store")
		inWorkspace(t, "exec", "store-0", "--", "rm", "-r", "/data/s3/app/maria")
		hks(t, "backup", "restore", "store", itoa(backup.ID), "--yes")
		if again := backupOf(t, "store"); len(again.Tables) != 1 || again.Tables[0] != backup.Tables[0] {
			t.Errorf("after the restore: %+v, not %+v", again.Tables, backup.Tables)
		}
		hks(t, "market", "rotate", "store")
		hks(t, "market", "test", "store")
	})
}

// TestA15AFullVolumeIsAWall fills PostgreSQL's volume by rows.
func TestA15AFullVolumeIsAWall(t *testing.T) {
	serviceGone(t, "small")
	hks(t, "market", "install", "postgresql", "small", "--storage", "256Mi")
	psql(t, "small", "CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000);\nCREATE TABLE filler (t text);\n")
	fill := "INSERT INTO filler SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 160000) n GROUP BY n / 200;\n"
	full := ""
	for range 60 { // each some 5 MB
		if r := tryInput(t, fill, "connect", "small"); r.exit != 0 {
			full = r.stdout + r.stderr
			break
		}
	}
	if !strings.Contains(full, "No space left") && !strings.Contains(full, "could not") && !strings.Contains(full, "terminated") && !strings.Contains(full, "closed the connection") {
		t.Fatalf("the volume does not get full, or it says so in other words: %q", full)
	}
	t.Logf("full: %s", strings.TrimSpace(full))
	if v := ask[agent.Volume](t, "volume", "show", "small-data"); v.UsedBytes+v.FreeBytes > 256<<20 || v.FreeBytes > 32<<20 {
		t.Errorf("it is not at its wall: %+v", v)
	}
	hks(t, "status") // nothing else suffers
	job := ask[agent.ServiceJob](t, "market", "upgrade", "small", "--storage", "512Mi", "--no-wait")
	eventually(t, time.Minute, func() string {
		if v := ask[agent.Volume](t, "volume", "show", "small-data"); v.AskedSize == 0 && v.SizeBytes < 512<<20 {
			return "it does not grow yet"
		}
		return ""
	})
	// Where the kernel lets nobody grow a mounted disk, it grows when its
	// instance is replaced, as the volume's note says.
	inWorkspace(t, "delete", "pod", "small-0", "--ignore-not-found")
	jobSucceeds(t, job)
	eventually(t, 2*time.Minute, func() string {
		if r := tryInput(t, "SELECT count(*), sum(n) FROM kept;\n", "connect", "small"); r.exit != 0 || !strings.Contains(r.stdout, "1000") || !strings.Contains(r.stdout, "500500") {
			return r.stdout + r.stderr
		}
		return ""
	})
	psql(t, "small", fill)
}

// TestA12OwnChart installs a chart that hks knows nothing of.
func TestA12OwnChart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mine")
	if err := os.MkdirAll(filepath.Join(folder, "templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "Chart.yaml"), "apiVersion: v2\nname: mine\nversion: 0.1.0\nannotations:\n  hks.dev/port: \"8080\"\n  hks.dev/env: |\n    MINE_URL=http://{host}:{port}\n")
	write(t, filepath.Join(folder, "templates", "pod.yaml"), `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
    spec:
      containers: [{name: web, image: "registry.hks.internal/hks/static:1"}]
`)
	serviceGone(t, "mine")
	hks(t, "market", "install", folder, "mine")
	if s := ask[agent.Service](t, "market", "show", "mine"); s.Status != agent.ServiceRunning || s.Engine != "" {
		t.Errorf("it is %s, %q", s.Status, s.Engine)
	}
	refusedWith(t, []string{"your own"}, "backup", "create", "mine")
}

// TestServicesInABrowser drives the screens of the marketplace.
func TestServicesInABrowser(t *testing.T) {
	serviceGone(t, "screen")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "services.js")
	cmd.Dir = filepath.Join("..", "browser")
	cmd.Env = append(os.Environ(), "HKS_URL="+appliance.url, "HKS_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
