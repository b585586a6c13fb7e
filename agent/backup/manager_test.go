package backup

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/store"
)

const secret = "canary-8d1f"

type fakeDisks struct{ thawed []string }

func (*fakeDisks) Snapshot(_ context.Context, _, to string) (time.Duration, error) {
	return time.Millisecond, os.WriteFile(to, append(make([]byte, 1<<20), "end"...), 0o600)
}

func (d *fakeDisks) Thaw(id string) error { d.thawed = append(d.thawed, id); return nil }

type fakeRemote struct {
	mu    sync.Mutex // guards files
	files map[string][]byte
	fails error
}

func (r *fakeRemote) Put(_ context.Context, target agent.BackupTarget, key string, file io.Reader, _ int64, _ string) (string, error) {
	data, err := io.ReadAll(file)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err = errors.Join(err, r.fails); err != nil {
		return "", err
	}
	r.files[key] = data
	return "s3://" + target.Bucket + "/" + key, nil
}

func (r *fakeRemote) Get(_ context.Context, _ agent.BackupTarget, key string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(r.files[key])), nil
}

func (r *fakeRemote) Remove(_ context.Context, _ agent.BackupTarget, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, key)
	return nil
}

// world is an appliance's root with a real database and a datastore like k3s's.
type world struct {
	*Manager
	t        *testing.T
	store    *store.Store
	settings config.Config
	disks    *fakeDisks
	remote   *fakeRemote
	plan     agent.Plan

	mu    sync.Mutex // guards what follows
	now   time.Time
	ended []agent.ApplianceJob
}

func newWorld(t *testing.T, change func(*config.Config)) *world {
	t.Helper()
	w := &world{t: t, disks: &fakeDisks{}, remote: &fakeRemote{files: map[string][]byte{}}, settings: config.Default(t.TempDir()), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	if change != nil {
		change(&w.settings)
	}
	paths := w.settings.Paths()
	key := bytes.Repeat([]byte{7}, 32)
	for name, text := range map[string]string{
		paths.ConfigFile(): "domain: localhost\n", paths.State("secret.key"): string(key), paths.State("api/tls.pem"): "pem", paths.State("functions/f/1.zip"): "zip",
		paths.State("series.db"): "figures", paths.State("buildkit/cache"): "cache", paths.State("journal.jsonl"): "{}",
		filepath.Join(paths.K3sData(), "server/token"): "K10::server:x", filepath.Join(paths.K3sData(), "server/tls/ca.key"): "key",
	} {
		place(t, name, text)
	}
	datastore(t, filepath.Join(paths.K3sData(), "server/db/state.db"), 40)
	var err error
	w.store, err = store.New(store.Config{Path: paths.State("hks.db"), Key: key, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.store.PutBackupTarget(t.Context(), &agent.BackupTarget{Endpoint: "https://s3", Bucket: "b", Prefix: "hks", AccessKey: "a", SecretKey: secret}); err != nil {
		t.Fatal(err)
	}
	w.Manager, err = New(Config{
		Ledger: w.store, Disks: w.disks, Remote: w.remote, Settings: w.settings, Version: "1.2.3", Node: "here", Address: func() string { return "192.0.2.1" },
		Plan: func(context.Context) (agent.Plan, error) { return w.plan, nil }, Now: w.clock,
		Ended: func(_ context.Context, j agent.ApplianceJob) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, j)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Stop(context.Background()), w.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func place(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// datastore makes a database that is open for writing, as k3s's is.
func datastore(t *testing.T, file string, rows int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL&_synchronous=OFF")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT)`); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if _, err := db.ExecContext(t.Context(), `INSERT INTO kine (name) VALUES (?)`, fmt.Sprint("/registry/", i)); err != nil {
			t.Fatal(err)
		}
	}
}

// done waits for the job's end.
func (w *world) done(j agent.ApplianceJob, err error) agent.ApplianceJob {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if j, err = w.Job(w.t.Context(), j.ID); err != nil {
			w.t.Fatal(err)
		}
		if j.Status.Done() {
			return j
		}
	}
	w.t.Fatalf("job %d does not end: %+v", j.ID, j)
	return j
}

func (w *world) start() {
	w.t.Helper()
	if err := w.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestA95ArchiveHoldsWhatARestoreNeeds(t *testing.T) {
	w := newWorld(t, nil)
	w.start()
	j := w.done(w.Back(t.Context(), false, "owner"))
	if j.Status != agent.RunSucceeded || j.Backup == 0 {
		t.Fatalf("%+v %+v", j, j.Failure)
	}
	b, err := w.Get(t.Context(), j.Backup)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(w.Folder(), b.File))
	if err != nil || int64(len(data)) != b.Bytes {
		t.Fatalf("%v, %d bytes of %d", err, len(data), b.Bytes)
	}
	if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte("SQLite format")) {
		t.Error("the archive is not encrypted")
	}
	if info, err := os.Stat(filepath.Join(w.Folder(), b.File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := w.remote.files["hks/appliance/"+b.File]; !bytes.Equal(got, data) || b.Remote == "" {
		t.Errorf("the copy has %d bytes, %q", len(got), b.Remote)
	}
	key, err := w.ShowKey(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := archive.ParseKey("# a comment\n" + key.Key + "\n")
	if err != nil {
		t.Fatal(err)
	}
	m, err := archive.Read(t.Context(), bytes.NewReader(data), opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range m.Parts {
		names = append(names, p.Name)
	}
	for _, want := range []string{archive.Database, archive.Datastore, archive.ServerToken, archive.SealingKey, archive.Settings, "root/var/lib/hks/api/tls.pem", "root/var/lib/hks/functions/f/1.zip", "root/var/lib/rancher/k3s/server/tls/ca.key"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing in %v", want, names)
		}
	}
	for _, name := range names {
		for _, no := range []string{"series.db", "buildkit", "journal.jsonl", "archives", "-wal"} {
			if strings.Contains(name, no) {
				t.Errorf("%s does not belong there", name)
			}
		}
	}
	if m.Contents.Objects != 40 || m.Contents.Node != "here" || m.Contents.Rows["recovery_key"] != 1 {
		t.Errorf("%+v", m.Contents)
	}
	if len(w.ended) != 1 || w.ended[0].Status != agent.RunSucceeded {
		t.Errorf("told: %+v", w.ended)
	}
}

func TestA95DrillFindsWhatIsWrong(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, w *world, file string){
		"nothing": nil,
		"a byte of the file": func(t *testing.T, _ *world, file string) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			place(t, file, string(data))
		},
		"the file is gone": func(t *testing.T, _ *world, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.start()
			b, err := w.Get(t.Context(), w.done(w.Back(t.Context(), true, "owner")).Backup)
			if err != nil {
				t.Fatal(err)
			}
			if damage != nil {
				damage(t, w, filepath.Join(w.Folder(), b.File))
			}
			j := w.done(w.Drill(t.Context(), 0, "owner"))
			s, err := w.State(t.Context())
			if err != nil || s.Drill == nil {
				t.Fatalf("%+v %v", s, err)
			}
			if good := damage == nil; s.Drill.Good != good || (j.Status == agent.RunSucceeded) != good {
				t.Errorf("%+v %+v", j, s.Drill)
			}
			if damage == nil && (len(s.Drill.Checked) < 6 || !strings.Contains(s.Drill.Message, "no cluster was started")) {
				t.Errorf("%+v", s.Drill)
			}
			if left, _ := filepath.Glob(filepath.Join(w.Folder(), ".work", "*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

func TestScheduleIsThePlansUnlessSet(t *testing.T) {
	for name, test := range map[string]struct {
		plan   agent.Plan
		change func(*config.Config)
		every  int
		keep   int
		source string
	}{
		"hobby makes none":   {agent.Plan{}, nil, 0, 1, "plan"},
		"pro makes them":     {agent.Plan{BackupDays: 7}, nil, 24 * 60, 7, "plan"},
		"the settings win":   {agent.Plan{BackupDays: 7}, func(c *config.Config) { c.Backup.Every, c.Backup.Keep = 12*time.Hour, 3 }, 12 * 60, 3, "settings"},
		"the settings alone": {agent.Plan{}, func(c *config.Config) { c.Backup.Every = time.Hour }, 60, 1, "settings"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.change)
			w.plan = test.plan
			s, err := w.State(t.Context())
			if err != nil || s.Schedule.EveryMins != test.every || s.Schedule.Keep != test.keep || s.Schedule.Source != test.source || s.Schedule.Next.IsZero() != (test.every == 0) {
				t.Errorf("%+v %v", s.Schedule, err)
			}
		})
	}
}

func TestScheduledOnesAreMadePrunedAndTried(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Backup.Every, c.Backup.Keep = time.Hour, 2 })
	w.start()
	due := func() agent.ApplianceJob {
		t.Helper()
		if err := w.due(t.Context()); err != nil {
			t.Fatal(err)
		}
		jobs, err := w.store.ApplianceJobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs) == 0 {
			return agent.ApplianceJob{}
		}
		return w.done(jobs[0], nil)
	}
	if j := due(); j.ID != 0 {
		t.Fatalf("one is made before its time: %+v", j)
	}
	for i := range 4 {
		w.forward(time.Hour + time.Minute)
		if j := due(); j.ID != int64(i+1) || j.Status != agent.RunSucceeded || j.Trigger != agent.TriggerSchedule || j.Kind != agent.ApplianceBackupJob {
			t.Fatalf("%d: %+v %+v", i, j, j.Failure)
		}
	}
	s, err := w.State(t.Context())
	if err != nil || len(s.Backups) != 2 || len(w.remote.files) != 2 {
		t.Errorf("%d are kept here, %d there, %v", len(s.Backups), len(w.remote.files), err)
	}
	w.settings.Backup.Every = 0
	w.Manager.cfg.Settings.Backup.Every = 0
	w.forward(8 * 24 * time.Hour)
	if j := due(); j.Kind != agent.ApplianceDrillJob || j.Status != agent.RunSucceeded || j.Backup != s.Backups[0].ID {
		t.Errorf("%+v %+v", j, j.Failure)
	}
}

func TestCopyThatFailsIsSaidAndTheArchiveKept(t *testing.T) {
	w := newWorld(t, nil)
	w.remote.fails = errors.New("no way")
	w.start()
	j := w.done(w.Back(t.Context(), false, "owner"))
	if j.Status != agent.RunFailed || j.Failure == nil || !strings.Contains(j.Failure.Message, "no way") {
		t.Errorf("%+v", j)
	}
	s, err := w.State(t.Context())
	if err != nil || len(s.Backups) != 1 || !strings.Contains(s.Backups[0].CopyError, "no way") || s.Backups[0].Remote != "" {
		t.Errorf("%+v %v", s, err)
	}
	if err := w.Delete(t.Context(), s.Backups[0].ID, "owner"); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.Folder(), "*.archive")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestInterruptedJobIsTakenUpAndGivenUp(t *testing.T) {
	w := newWorld(t, nil)
	j, err := w.store.AddApplianceJob(t.Context(), agent.ApplianceJob{Kind: agent.ApplianceBackupJob, Trigger: agent.TriggerManual, By: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.AddApplianceJob(t.Context(), agent.ApplianceJob{Kind: agent.ApplianceDrillJob}); !errors.Is(err, store.ErrApplianceBusy) {
		t.Errorf("a second one: %v", err)
	}
	j.Status, j.Attempts = agent.RunRunning, mostTries
	if err := w.store.PutApplianceJob(t.Context(), j, w.clock().Add(lease)); err != nil {
		t.Fatal(err)
	}
	w.start()
	if j = w.done(j, nil); j.Status != agent.RunFailed || !strings.Contains(j.Failure.Message, "in the middle") {
		t.Errorf("%+v %+v", j, j.Failure)
	}
}

func TestDatastoreThatIsNotThereIsSaid(t *testing.T) {
	w := newWorld(t, nil)
	paths := w.settings.Paths()
	if err := os.Remove(filepath.Join(paths.K3sData(), "server/db/state.db")); err != nil {
		t.Fatal(err)
	}
	w.start()
	if j := w.done(w.Back(t.Context(), false, "owner")); j.Status != agent.RunFailed || j.Failure.Code != agent.CodeConflict || j.Failure.Fix == "" {
		t.Errorf("%+v", j.Failure)
	}
	if s, err := w.State(t.Context()); err != nil || len(s.Backups) != 0 || s.Last == nil || s.Last.Failure == nil {
		t.Errorf("%+v %v", s, err)
	}
}
