package market

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/store"
)

func TestA15WhatCantBeIsRefusedBeforeAnythingIsMade(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	for name, tt := range map[string]struct {
		r     agent.ServiceRequest
		code  agent.Code
		words []string
	}{
		"over the plan":     {agent.ServiceRequest{Name: "big", Chart: "postgresql", Values: map[string]any{"storage": "10Gi"}}, agent.CodeQuotaStorage, []string{"10 GiB", "1 GiB", "hobby", "at most", "plan upgrade"}},
		"a name taken":      {agent.ServiceRequest{Name: "db", Chart: "valkey"}, agent.CodeConflict, []string{"already"}},
		"no such chart":     {agent.ServiceRequest{Name: "x", Chart: "postgres"}, agent.CodeNotFound, []string{"did you mean postgresql"}},
		"no size":           {agent.ServiceRequest{Name: "x", Chart: "postgresql", Values: map[string]any{"storage": "much"}}, agent.CodeInvalid, []string{"storage"}},
		"an unknown value":  {agent.ServiceRequest{Name: "x", Chart: "postgresql", Values: map[string]any{"memmory": "1Gi"}}, agent.CodeInvalid, []string{"memmory"}},
		"a wrong type":      {agent.ServiceRequest{Name: "x", Chart: "postgresql", Values: map[string]any{"cpu": 3}}, agent.CodeInvalid, []string{"cpu"}},
		"another image":     {agent.ServiceRequest{Name: "x", Chart: "postgresql", Values: map[string]any{"image": "evil:1"}}, agent.CodeInvalid, []string{"set by the platform"}},
		"a forbidden knob":  {agent.ServiceRequest{Name: "x", Chart: "postgresql", Values: map[string]any{"settings": map[string]any{"archive_command": "rm"}}}, agent.CodeInvalid, []string{"settings"}},
		"a bad name":        {agent.ServiceRequest{Name: "Db", Chart: "postgresql"}, agent.CodeInvalid, []string{"lower-case"}},
		"an app's own name": {agent.ServiceRequest{Name: "web-staging", Chart: "postgresql"}, agent.CodeInvalid, []string{"app's"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Install(t.Context(), tt.r, "test")
			e := refuse(t, err, tt.code, tt.words...)
			if tt.code == agent.CodeQuotaStorage && (e.Details["used"] != int64(1<<30) || e.Details["asked"] != int64(10<<30) || e.Details["limit"] != int64(10<<30)) {
				t.Errorf("details %v", e.Details)
			}
			if _, ok, err := w.store.Service(t.Context(), tt.r.Name); err != nil || ok && tt.r.Name != "db" {
				t.Errorf("a row was made: %v", err)
			}
		})
	}
	if heard := w.helm.heard(); heard != "install db" {
		t.Errorf("helm heard %s", heard)
	}
}

func TestFailedInstallLeavesNothingBut(t *testing.T) {
	w := newWorld(t)
	w.helm.fail = agent.Errorf(agent.CodeRollout, "wait", "it did not get ready in time")
	job := w.done(w.Install(t.Context(), agent.ServiceRequest{Name: "db", Chart: "postgresql"}, "test"))
	if job.Failure == nil || job.Failure.Code != agent.CodeRollout {
		t.Fatalf("got %+v", job)
	}
	secrets, err := w.set.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) > 0 {
		t.Errorf("credentials stay: %v %v", secrets.Items, err)
	}
	s, err := w.Get(t.Context(), "db")
	if err != nil || s.Status != agent.ServiceError || s.Reason == "" || s.Fix == "" {
		t.Errorf("got %+v, %v", s, err)
	}
	w.helm.fail = nil
	w.good(w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{}, "test")) // again
	if s, err := w.Get(t.Context(), "db"); err != nil || s.Status != agent.ServiceRunning {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestA96InstallGoesOnAfterTheAgentsEnd(t *testing.T) {
	w := newWorld(t)
	w.helm.hold, w.helm.holding = make(chan struct{}), make(chan struct{})
	job, err := w.Install(t.Context(), agent.ServiceRequest{Name: "db", Chart: "postgresql"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	<-w.helm.holding
	w.end(w.Manager)
	if now, _, _ := w.store.ServiceJob(t.Context(), job.ID); now.Status != agent.RunRunning {
		t.Fatalf("it is %s", now.Status)
	}
	w.helm.hold, w.helm.state = nil, helm.RecoveredRemoved
	w.Manager = w.newManager()
	w.begin()
	done := w.good(job, nil)
	if text := stepsOf(done); !strings.Contains(text, "the agent was restarted") || !strings.Contains(text, "removed an install that was cut off") {
		t.Errorf("steps: %s", text)
	}
	if heard := w.helm.heard(); heard != "install db; install db" {
		t.Errorf("helm heard %s", heard)
	}
}

func stepsOf(job agent.ServiceJob) string {
	var lines []string
	for _, step := range job.Steps {
		lines = append(lines, step.Text)
	}
	return strings.Join(lines, "\n")
}

func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.good(w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"memory": "512Mi", "storage": "2Gi"}}, "test"))
	s, err := w.Get(t.Context(), "db")
	if err != nil || s.Values["memory"] != "512Mi" || s.StorageBytes != 2<<30 {
		t.Errorf("got %+v, %v", s, err)
	}
	_, err = w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"storage": "1Gi"}}, "test")
	refuse(t, err, agent.CodeInvalid, "shrink")
	_, err = w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"storage": "20Gi"}}, "test")
	refuse(t, err, agent.CodeQuotaStorage, "10 GiB")
	w.helm.fail = agent.Errorf(agent.CodeRollout, "wait", "it did not get ready in time")
	if job := w.done(w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"memory": "1Gi"}}, "test")); job.Failure == nil {
		t.Error("it went through")
	}
	if s, err := w.Get(t.Context(), "db"); err != nil || s.Values["memory"] != "512Mi" || s.Status != agent.ServiceRunning {
		t.Errorf("after a failed upgrade: %+v, %v", s, err)
	}
}

func TestA12Binding(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	ctx := t.Context()
	b, err := w.Bind(ctx, "db", agent.Bind{App: "web"}, "test")
	if err != nil || b.Environment != agent.Staging || len(b.Names) != 6 {
		t.Fatalf("got %+v, %v", b, err)
	}
	url, password := w.apps.value("web/staging", "DATABASE_URL"), w.apps.value("web/staging", "PGPASSWORD")
	if url != "postgresql://app_1:"+password+"@db:5432/app?sslmode=disable" || len(password) < 40 {
		t.Error("the address is not made of the parts")
	}
	if _, err := w.Bind(ctx, "db", agent.Bind{App: "web"}, "test"); err != nil {
		t.Errorf("again: %v", err)
	}
	w.installed("other")
	_, err = w.Bind(ctx, "other", agent.Bind{App: "web"}, "test")
	refuse(t, err, agent.CodeConflict, "DATABASE_URL", "--as")
	if b, err := w.Bind(ctx, "other", agent.Bind{App: "web", Prefix: "OTHER"}, "test"); err != nil || b.Names[0] != "OTHER_DATABASE_URL" {
		t.Errorf("got %+v, %v", b, err)
	}
	_, err = w.Bind(ctx, "db", agent.Bind{App: "nothere"}, "test")
	refuse(t, err, agent.CodeNotFound, "nothere")
	_, err = w.Uninstall(ctx, "db", false, false, "test")
	refuse(t, err, agent.CodeConflict, "web/staging", "hks unbind web db", "--force")
	if _, err := w.Unbind(ctx, "db", "web", "", "test"); err != nil || w.apps.value("web/staging", "PGHOST") != "" {
		t.Errorf("unbound: %v", err)
	}
	_, err = w.Unbind(ctx, "db", "web", "", "test")
	refuse(t, err, agent.CodeNotFound, "not bound")
}

func TestUninstallKeepsTheVolumeForItsGrace(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	before, err := w.Credentials(t.Context(), "db", "test")
	if err != nil {
		t.Fatal(err)
	}
	w.good(w.Uninstall(t.Context(), "db", false, false, "test"))
	s, err := w.Get(t.Context(), "db")
	if err != nil || s.Status != agent.ServiceRemoved || time.Until(s.KeptUntil) < 6*24*time.Hour {
		t.Fatalf("got %+v, %v", s, err)
	}
	_, err = w.Install(t.Context(), agent.ServiceRequest{Name: "db", Chart: "valkey"}, "test")
	refuse(t, err, agent.CodeConflict, "postgresql", "--purge")
	w.installed("db")
	if after, err := w.Credentials(t.Context(), "db", "test"); err != nil || after.URL != before.URL {
		t.Errorf("it came back with other credentials: %v", err)
	}
	w.good(w.Uninstall(t.Context(), "db", false, true, "test"))
	_, err = w.Get(t.Context(), "db")
	refuse(t, err, agent.CodeNotFound, "no service")
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	if _, err := w.Bind(t.Context(), "db", agent.Bind{App: "web"}, "test"); err != nil {
		t.Fatal(err)
	}
	old := w.apps.value("web/staging", "PGPASSWORD")
	w.apps.fail = agent.ReleaseFailed
	job := w.done(w.Rotate(t.Context(), "db", "test"))
	if job.Failure == nil || !strings.Contains(job.Failure.Fix, "both credentials are good") {
		t.Errorf("got %+v", job.Failure)
	}
	if heard := w.shell.heard(); strings.Contains(heard, "drop-user") {
		t.Errorf("the first user was dropped: %s", heard)
	}
	w.apps.fail = ""
	w.good(w.Rotate(t.Context(), "db", "test"))
	if now := w.apps.value("web/staging", "PGPASSWORD"); now == old || w.apps.value("web/staging", "PGUSER") != "app_2" {
		t.Error("the app has the old credentials")
	}
	if heard := w.shell.heard(); heard != "add-user app_2; add-user app_2; drop-user app_1" {
		t.Errorf("the instance heard %s", heard)
	}
}

func TestBackupAndRestore(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	job := w.good(w.Backup(t.Context(), "db", "test"))
	b, ok, err := w.store.Backup(t.Context(), job.Backup)
	if err != nil || !ok || b.Tables[0].Rows != 2 || b.Bytes != int64(len(w.shell.archive)) {
		t.Fatalf("got %+v, %v", b, err)
	}
	w.good(w.Restore(t.Context(), "db", b.ID, "test"))
	if string(w.shell.restored) != string(w.shell.archive) {
		t.Errorf("restored %q", w.shell.restored)
	}
	for name, spoil := range map[string]func(data []byte) []byte{
		"a bit turned": func(data []byte) []byte { data[3] ^= 1; return data },
		"cut short":    func(data []byte) []byte { return data[:4] },
		"longer":       func(data []byte) []byte { return append(data, 'x') },
	} {
		t.Run(name, func(t *testing.T) {
			calls := w.shell.heard()
			if err := os.WriteFile(w.archive(b), spoil(append([]byte(nil), w.shell.archive...)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := w.Restore(t.Context(), "db", b.ID, "test")
			refuse(t, err, agent.CodeInvalid, "damaged", "nothing was touched")
			if w.shell.heard() != calls {
				t.Error("the instance was touched")
			}
		})
	}
	if err := os.Remove(w.archive(b)); err != nil {
		t.Fatal(err)
	}
	_, err = w.Restore(t.Context(), "db", b.ID, "test")
	refuse(t, err, agent.CodeInvalid, "missing")
	if err := w.DeleteBackup(t.Context(), "db", b.ID, "test"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Restore(t.Context(), "db", b.ID, "test")
	refuse(t, err, agent.CodeNotFound, "no backup")
}

func TestBackupThatBreaksOffLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.shell.cut = 5
	job := w.done(w.Backup(t.Context(), "db", "test"))
	if job.Failure == nil || !strings.Contains(job.Failure.Message, "the disk is full") {
		t.Errorf("got %+v", job.Failure)
	}
	entries, err := os.ReadDir(w.cfg.Backups)
	if err != nil || len(entries) > 0 {
		t.Errorf("files stay: %v %v", entries, err)
	}
	if backups, err := w.Backups(t.Context(), "db"); err != nil || len(backups) > 0 {
		t.Errorf("got %+v, %v", backups, err)
	}
}

func TestA96UpgradeGoesOnAfterTheAgentsEnd(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.helm.hold, w.helm.holding = make(chan struct{}), make(chan struct{})
	job, err := w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"memory": "512Mi"}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	<-w.helm.holding
	w.end(w.Manager)
	if s, err := w.Get(t.Context(), "db"); err != nil || s.Status != agent.ServiceUpdating || s.Values["memory"] != nil {
		t.Fatalf("cut off, it is %+v, %v", s, err)
	}
	w.helm.hold, w.helm.state = nil, helm.RecoveredRollback
	w.Manager = w.newManager()
	w.begin()
	if text := stepsOf(w.good(job, nil)); !strings.Contains(text, "took back an upgrade that was cut off") {
		t.Errorf("steps: %s", text)
	}
	if s, err := w.Get(t.Context(), "db"); err != nil || s.Status != agent.ServiceRunning || s.Values["memory"] != "512Mi" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestA96BackupBeginsAgainAfterTheAgentsEnd(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.shell.hold, w.shell.holding = make(chan struct{}), make(chan struct{})
	job, err := w.Backup(t.Context(), "db", "test")
	if err != nil {
		t.Fatal(err)
	}
	<-w.shell.holding
	w.end(w.Manager)
	left := filepath.Join(w.cfg.Backups, incomingPrefix+"killed") // what an agent leaves that is killed, not stopped
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.shell.hold = nil
	w.Manager = w.newManager()
	w.begin()
	done := w.good(job, nil)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half archive stays: %v", err)
	}
	backups, err := w.Backups(t.Context(), "db")
	if err != nil || len(backups) != 1 || backups[0].ID != done.Backup {
		t.Fatalf("got %+v, %v", backups, err)
	}
	w.good(w.Restore(t.Context(), "db", done.Backup, "test"))
}

func TestBackupIsCopiedAndFetchedBack(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	target := agent.BackupTarget{Endpoint: "https://s3.example.com", Bucket: "backups", Prefix: "mine", AccessKey: "key", SecretKey: "secret"}
	if shown, err := w.SetTarget(t.Context(), target, "test"); err != nil || shown.SecretKey != agent.HiddenValue {
		t.Fatalf("got %+v, %v", shown, err)
	}
	target.SecretKey, target.Region = agent.HiddenValue, "eu"
	if _, err := w.SetTarget(t.Context(), target, "test"); err != nil { // keeps the key
		t.Fatal(err)
	}
	if kept, _, err := w.store.BackupTarget(t.Context()); err != nil || kept.SecretKey != "secret" || kept.Region != "eu" {
		t.Fatalf("got %+v, %v", kept, err)
	}
	id := w.good(w.Backup(t.Context(), "db", "test")).Backup
	b, _, err := w.store.Backup(t.Context(), id)
	if err != nil || !strings.HasPrefix(b.Remote, "s3://backups/mine/db/") || len(w.remote.copies) != 1 {
		t.Fatalf("got %+v, %v", b, err)
	}
	if err := os.Remove(w.archive(b)); err != nil {
		t.Fatal(err)
	}
	w.good(w.Restore(t.Context(), "db", id, "test"))
	if string(w.shell.restored) != string(w.shell.archive) {
		t.Errorf("restored %q", w.shell.restored)
	}
	if err := os.Remove(w.archive(b)); err != nil { // it was fetched
		t.Fatal(err)
	}
	for key := range w.remote.copies {
		w.remote.copies[key] = []byte("something else")
	}
	_, err = w.Restore(t.Context(), "db", id, "test")
	refuse(t, err, agent.CodeInvalid, "damaged", "nothing was touched")
	if err := w.DeleteBackup(t.Context(), "db", id, "test"); err != nil || len(w.remote.copies) > 0 {
		t.Errorf("the copy stays: %v", err)
	}
	w.remote.fail = agent.Errorf(agent.CodeConflict, "see whether it is up", "the store is away")
	job := w.done(w.Backup(t.Context(), "db", "test"))
	if job.Failure == nil || !strings.Contains(job.Failure.Message, "away") {
		t.Errorf("got %+v", job.Failure)
	}
	if backups, err := w.Backups(t.Context(), "db"); err != nil || len(backups) != 1 || backups[0].Remote != "" {
		t.Errorf("the backup on this machine: %+v, %v", backups, err)
	}
}

func TestEachChartOfOursCanBeInstalledAndBound(t *testing.T) {
	for chart, want := range map[string]string{
		"postgresql": "DATABASE_URL=postgres", "mariadb": "DATABASE_URL=mysql://app_1:", "valkey": "REDIS_URL=redis://app_1:",
		"rabbitmq": "AMQP_URL=amqp://app_1:", "s3": "S3_ENDPOINT=http://one:9000",
	} {
		w := newWorld(t)
		w.good(w.Install(t.Context(), agent.ServiceRequest{Name: "one", Chart: chart}, "test"))
		if _, err := w.Bind(t.Context(), "one", agent.Bind{App: "web"}, "test"); err != nil {
			t.Errorf("%s: %v", chart, err)
		}
		name, begin, _ := strings.Cut(want, "=")
		if got := w.apps.value("web/staging", name); !strings.HasPrefix(got, begin) {
			t.Errorf("%s: %s is not what begins with %s", chart, name, begin)
		}
		w.good(w.Rotate(t.Context(), "one", "test"))
		w.good(w.Backup(t.Context(), "one", "test"))
	}
}

func TestA96RestoreCutOffIsTold(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	backup := w.good(w.Backup(t.Context(), "db", "test"))
	w.shell.hold, w.shell.holding = make(chan struct{}), make(chan struct{})
	job, err := w.Restore(t.Context(), "db", backup.Backup, "test")
	if err != nil {
		t.Fatal(err)
	}
	<-w.shell.holding
	w.end(w.Manager)
	w.shell.hold = nil
	w.Manager = w.newManager()
	w.begin()
	done := w.done(job, nil)
	if done.Failure == nil || !strings.Contains(done.Failure.Message, "ended in the middle") {
		t.Errorf("got %+v", done)
	}
	if s, err := w.Get(t.Context(), "db"); err != nil || s.Status != agent.ServiceRunning {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestOneJobAtATime(t *testing.T) {
	w := newWorld(t)
	w.helm.hold, w.helm.holding = make(chan struct{}), make(chan struct{})
	job, err := w.Install(t.Context(), agent.ServiceRequest{Name: "db", Chart: "postgresql"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	<-w.helm.holding
	_, err = w.Backup(t.Context(), "db", "test")
	refuse(t, err, agent.CodeConflict, "at work")
	close(w.helm.hold)
	w.good(job, nil)
}

func TestWhatIsDue(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	hobby, pro := agent.Plan{Name: "hobby"}, agent.Plan{Name: "pro", BackupDays: 7}
	running := store.Service{Name: "db", Engine: "postgresql", Status: agent.ServiceRunning, CreatedAt: now.Add(-48 * time.Hour)}
	scheduled := func(age time.Duration) agent.Backup {
		return agent.Backup{Service: "db", Trigger: triggerPlan, CreatedAt: now.Add(-age)}
	}
	for name, tt := range map[string]struct {
		s       store.Service
		plan    agent.Plan
		backups []agent.Backup
		want    time.Time
	}{
		"none by hobby":           {running, hobby, nil, time.Time{}},
		"overdue":                 {running, pro, nil, now.Add(-47 * time.Hour)},
		"a day after the last":    {running, pro, []agent.Backup{scheduled(20 * time.Hour)}, now.Add(4 * time.Hour)},
		"by hand does not count":  {running, pro, []agent.Backup{{Trigger: triggerManual, CreatedAt: now}}, now.Add(-47 * time.Hour)},
		"none of the own charts'": {store.Service{Name: "mine", Status: agent.ServiceRunning}, pro, nil, time.Time{}},
	} {
		if got := nextBackup(tt.s, tt.backups, tt.plan); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestNextUser(t *testing.T) {
	for name, want := range map[string]string{"app_1": "app_2", "app_9": "app_10", "app": "app_2"} {
		if got := nextUser(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestAVolumeOfAnotherClassDoesNotGrow(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	class := "local-path"
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: ClaimName("db"), Namespace: namespace}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class},
	}
	if _, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"storage": "2Gi"}}, "test")
	refuse(t, err, agent.CodeConflict, "local-path", "can't grow")
	w.good(w.Upgrade(t.Context(), "db", agent.ServiceUpgrade{Values: map[string]any{"memory": "512Mi"}}, "test"))
}
