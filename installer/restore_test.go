package installer

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	identity "hks.dev/hks/agent/machine"
	"hks.dev/hks/agent/store"
)

// madeArchive writes an archive as an appliance makes it, and its key.
func madeArchive(t *testing.T) (file, keyFile string) {
	t.Helper()
	folder, sealing := t.TempDir(), bytes.Repeat([]byte{9}, 32)
	key, err := archive.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(store.Config{Path: filepath.Join(folder, "live/hks.db"), Key: sealing})
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(folder, "hks.db")
	err = errors.Join(s.Open(t.Context()), s.AddRecoveryKey(t.Context(), key.String()),
		s.PutVolume(t.Context(), store.Volume{ID: "pvc-1", Claim: "data-db", Size: 32 << 20, Asked: 32 << 20, Status: agent.VolumeReady, Labels: map[string]string{}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddApplianceJob(t.Context(), agent.ApplianceJob{Kind: agent.ApplianceBackupJob, Trigger: agent.TriggerManual, By: "owner"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.BackupTo(t.Context(), copied), s.Close()); err != nil {
		t.Fatal(err)
	}
	cluster := filepath.Join(folder, "state.db")
	db, err := sql.Open("sqlite3", cluster)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `CREATE TABLE kine (id INTEGER PRIMARY KEY); INSERT INTO kine VALUES (1), (2)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	file, keyFile = filepath.Join(folder, "hks.archive"), filepath.Join(folder, "key")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w, err := archive.NewWriter(out, key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{archive.Database: copied, archive.Datastore: cluster} {
		if err := w.AddFile(t.Context(), name, from); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		archive.ServerToken: "K10::server:x", archive.SealingKey: string(sealing), archive.Settings: "domain: example.com\nk3s:\n  extra:\n    node-ip: 192.0.2.200\n",
		"root/var/lib/hks/api/tls.pem": "pem", "root/var/lib/rancher/k3s/server/tls/ca.key": "key",
	} {
		if err := w.Add(t.Context(), name, 0o600, int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(archive.Manifest{MadeAt: time.Unix(1, 0), Contents: agent.ApplianceParts{Node: "first", Objects: 2, LeftOut: []string{"the volume data-db"}}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Close(), os.WriteFile(keyFile, []byte(key.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	return file, keyFile
}

func TestA95RestoreGoesOnWhereItWasInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	file, keyFile := madeArchive(t)
	root := t.TempDir()
	m, err := newMachine(Config{Out: io.Discard, Err: io.Discard, In: strings.NewReader("")}, root)
	if err != nil {
		t.Fatal(err)
	}
	o := restoreOptions{archive: file, keyFile: keyFile}
	if _, goesOn, err := m.begunRestore(o); err != nil || goesOn {
		t.Fatalf("on a clean machine: %v %v", goesOn, err)
	}
	r, err := m.stageArchive(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if exists(m.paths.State("hks.db")) || exists(m.server()) || exists(m.paths.ConfigFile()) {
		t.Error("unpacking changed the machine")
	}
	if text := strings.Join(r.Left, "\n"); !strings.Contains(text, "the volume data-db is empty") || !strings.Contains(text, "node-ip is ") {
		t.Errorf("what is not as it was: %s", text)
	}
	if _, _, err := m.begunRestore(restoreOptions{archive: "/another"}); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("another archive in the middle: %v", err)
	}
	if _, goesOn, err := m.begunRestore(o); err != nil || !goesOn {
		t.Fatalf("after an interruption: %v %v", goesOn, err)
	}
	// Killed when some of the moves were made.
	if err := errors.Join(os.Rename(m.server()+restoringSuffix, m.server()), os.Rename(filepath.Join(m.waiting(), "hks.db"), m.paths.State("hks.db"))); err != nil {
		t.Fatal(err)
	}
	if err := m.placeStaged(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{m.paths.State("hks.db"), m.paths.State("secret.key"), m.paths.State("api/tls.pem"), m.paths.State("volumes/pvc-1/disk.img"), filepath.Join(m.server(), "tls/ca.key"), filepath.Join(m.server(), "db/state.db"), m.paths.ConfigFile()} {
		if !exists(name) {
			t.Errorf("%s is not there", name)
		}
	}
	if exists(m.waiting()) || exists(m.server()+restoringSuffix) {
		t.Error("something is left over")
	}
	if i, err := identity.Read(m.paths.MachineFile()); err != nil || i.Node != "first" {
		t.Errorf("the node is %+v, %v", i, err)
	}
	if _, goesOn, err := m.begunRestore(o); err != nil || !goesOn {
		t.Errorf("after the last move: %v %v", goesOn, err)
	}
	if err := m.placeStaged(t.Context()); err != nil {
		t.Errorf("once more: %v", err)
	}
	s, err := store.New(store.Config{Path: m.paths.State("hks.db"), Key: bytes.Repeat([]byte{9}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // only read
	if jobs, err := s.ApplianceJobs(t.Context()); err != nil || len(jobs) != 1 || jobs[0].Status != agent.RunFailed {
		t.Errorf("the job that made it: %+v %v", jobs, err)
	}
}

func TestRestoreWithAnotherKeyChangesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	file, _ := madeArchive(t)
	key, err := archive.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	bin, root := t.TempDir(), t.TempDir()
	m, err := newMachine(Config{Out: io.Discard, Err: io.Discard, In: strings.NewReader(key.String()), Environ: []string{"HKS_RECOVERY_KEY=" + key.String()}}, root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.stageArchive(t.Context(), restoreOptions{archive: file, up: upOptions{from: bin}}); agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("%v", err)
	}
	if err := m.clearStaged(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}
