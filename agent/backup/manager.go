package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/store"
)

const (
	jobDeadline = 2 * time.Hour
	lease       = time.Minute
	mostTries   = 3 // of a job whose agent ended in the middle of it
	tendEvery   = time.Minute
	firstAfter  = 10 * time.Minute // the first scheduled archive comes so long after the first look
	retryAfter  = time.Hour        // after one that failed
	leastFree   = 1 << 30          // of the disk, that an archive leaves, bytes

	tended = "hks" // who asks for what is due by itself
)

// Manager makes and tries archives of the appliance. It is safe for concurrent
// use.
type Manager struct {
	cfg   Config
	crew  agent.Crew
	begun time.Time
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Ledger == nil || cfg.Disks == nil || cfg.Remote == nil || cfg.Settings.Root == "" || cfg.Node == "" || cfg.Plan == nil || cfg.Address == nil {
		return nil, errors.New("backups of the appliance need a ledger, disks, a remote store, settings, a node, its address and a plan")
	}
	if cfg.Ended == nil {
		cfg.Ended = func(context.Context, agent.ApplianceJob) {}
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	if cfg.FreeSpace == nil {
		cfg.FreeSpace = freeSpace
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg}, nil
}

// Start makes the recovery key at the first start, lets volumes go on that an
// end in the middle left frozen, takes up the job that was interrupted, and
// looks at the clock from then on.
func (m *Manager) Start(ctx context.Context) error {
	if !m.crew.Start() {
		return nil
	}
	m.begun = m.cfg.Now()
	if _, _, err := m.key(ctx); err != nil {
		return err
	}
	volumes, err := m.cfg.Ledger.Volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := m.cfg.Disks.Thaw(v.ID); err != nil {
			m.cfg.Log.ErrorContext(ctx, "a volume may be frozen", "volume", v.Claim, "error", err)
		}
	}
	if err := m.clear(); err != nil {
		return err
	}
	jobs, err := m.cfg.Ledger.ApplianceJobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !j.Status.Done() {
			m.begin(j)
		}
	}
	m.crew.Go(m.tend)
	return nil
}

// Stop ends that; a job that is at work is taken up at the next start.
func (m *Manager) Stop(ctx context.Context) error {
	return m.crew.Stop(ctx, "backups of the appliance")
}

// Folder is where the archives are.
func (m *Manager) Folder() string {
	if dir := m.cfg.Settings.Backup.Dir; dir != "" {
		return dir
	}
	paths := m.cfg.Settings.Paths()
	return paths.Archives()
}

// scratch is where archives and drills are in the making.
func (m *Manager) scratch() string { return filepath.Join(m.Folder(), ".work") }

// clear takes away what an interrupted job left.
func (m *Manager) clear() error {
	if err := os.RemoveAll(m.scratch()); err != nil {
		return fmt.Errorf("clearing an interrupted backup: %w", err)
	}
	return nil
}

func (m *Manager) file(b agent.ApplianceBackup) string { return filepath.Join(m.Folder(), b.File) }

// key returns the recovery key, made when there is none.
func (m *Manager) key(ctx context.Context) (archive.Key, time.Time, error) {
	text, shown, ok, err := m.cfg.Ledger.RecoveryKey(ctx)
	if err != nil {
		return archive.Key{}, time.Time{}, err
	}
	if !ok {
		made, err := archive.NewKey()
		if err != nil {
			return archive.Key{}, time.Time{}, err
		}
		if err := m.cfg.Ledger.AddRecoveryKey(ctx, made.String()); err != nil {
			return archive.Key{}, time.Time{}, err
		}
		if text, shown, _, err = m.cfg.Ledger.RecoveryKey(ctx); err != nil { // another may have been first
			return archive.Key{}, time.Time{}, err
		}
	}
	key, err := archive.ParseKey(text)
	return key, shown, err
}

// ShowKey returns the recovery key, and notes that it was shown.
func (m *Manager) ShowKey(ctx context.Context, by string) (agent.RecoveryKey, error) {
	key, _, err := m.key(ctx)
	if err != nil {
		return agent.RecoveryKey{}, err
	}
	if err := m.cfg.Ledger.ShowRecoveryKey(ctx); err != nil {
		return agent.RecoveryKey{}, err
	}
	m.tell(ctx, "info", "the recovery key was shown", by)
	m.publish(ctx)
	return agent.RecoveryKey{Key: key.String(), Recipient: key.Recipient(), ShownAt: m.cfg.Now().UTC()}, nil
}

// Back accepts the making of an archive. When it returns, the job is on disk.
func (m *Manager) Back(ctx context.Context, volumes bool, by string) (agent.ApplianceJob, error) {
	return m.submit(ctx, agent.ApplianceJob{Kind: agent.ApplianceBackupJob, Trigger: agent.TriggerManual, Volumes: volumes || m.cfg.Settings.Backup.Volumes, By: by})
}

// Drill accepts a drill over an archive; 0 means the newest.
func (m *Manager) Drill(ctx context.Context, id int64, by string) (agent.ApplianceJob, error) {
	if id == 0 {
		all, err := m.cfg.Ledger.ApplianceBackups(ctx)
		if err != nil {
			return agent.ApplianceJob{}, err
		}
		if len(all) == 0 {
			return agent.ApplianceJob{}, agent.Errorf(agent.CodeNotFound, "make one: hks appliance backup create", "there is no backup of the appliance to try")
		}
		id = all[0].ID
	}
	if _, err := m.Get(ctx, id); err != nil {
		return agent.ApplianceJob{}, err
	}
	return m.submit(ctx, agent.ApplianceJob{Kind: agent.ApplianceDrillJob, Trigger: agent.TriggerManual, Backup: id, By: by})
}

func (m *Manager) submit(ctx context.Context, j agent.ApplianceJob) (agent.ApplianceJob, error) {
	j, err := m.cfg.Ledger.AddApplianceJob(ctx, j)
	if errors.Is(err, store.ErrApplianceBusy) {
		return j, agent.Errorf(agent.CodeConflict, "wait for it to end: hks appliance backup list", "%w", err)
	}
	if err != nil {
		return j, err
	}
	m.tell(ctx, "info", wordOf(j)+" accepted", j.By)
	m.publish(ctx)
	m.begin(j)
	return j, nil
}

func wordOf(j agent.ApplianceJob) string {
	if j.Kind == agent.ApplianceDrillJob {
		return "a drill"
	}
	return "a backup of the appliance"
}

// Get returns one archive.
func (m *Manager) Get(ctx context.Context, id int64) (agent.ApplianceBackup, error) {
	b, ok, err := m.cfg.Ledger.ApplianceBackup(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "list them with: hks appliance backup list", "there is no backup %d of the appliance", id)
	}
	return b, err
}

// Open opens an archive as it is, encrypted; the caller closes it.
func (m *Manager) Open(ctx context.Context, id int64) (agent.ApplianceBackup, *os.File, error) {
	b, err := m.Get(ctx, id)
	if err != nil {
		return b, nil, err
	}
	f, err := os.Open(m.file(b))
	if errors.Is(err, os.ErrNotExist) {
		return b, nil, m.lost(b)
	}
	if err != nil {
		return b, nil, fmt.Errorf("opening an archive: %w", err)
	}
	return b, f, nil
}

func (m *Manager) lost(b agent.ApplianceBackup) error {
	fix := "make another: hks appliance backup create"
	if b.Remote != "" {
		fix = "its copy is " + b.Remote
	}
	return agent.Errorf(agent.CodeNotFound, fix, "the file of backup %d is no longer in %s", b.ID, m.Folder())
}

// Job returns one job.
func (m *Manager) Job(ctx context.Context, id int64) (agent.ApplianceJob, error) {
	j, ok, err := m.cfg.Ledger.ApplianceJob(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "", "the appliance has no job %d", id)
	}
	return j, err
}

// Delete removes an archive and its copy elsewhere.
func (m *Manager) Delete(ctx context.Context, id int64, by string) error {
	b, err := m.Get(ctx, id)
	if err != nil {
		return err
	}
	jobs, err := m.cfg.Ledger.ApplianceJobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !j.Status.Done() && j.Backup == id {
			return agent.Errorf(agent.CodeConflict, "wait for it to end: hks appliance backup list", "backup %d is being tried", id)
		}
	}
	if err := m.drop(ctx, b); err != nil {
		return err
	}
	m.tell(ctx, "info", fmt.Sprintf("backup %d of the appliance was deleted", id), by)
	m.publish(ctx)
	return nil
}

// drop removes the copy first: a row without one is found again, a copy
// without a row never.
func (m *Manager) drop(ctx context.Context, b agent.ApplianceBackup) error {
	if b.Remote != "" {
		target, ok, err := m.cfg.Ledger.BackupTarget(ctx)
		if err != nil {
			return err
		}
		if name, here := strings.CutPrefix(b.Remote, "s3://"+target.Bucket+"/"); ok && here {
			if err := m.cfg.Remote.Remove(ctx, target, name); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(m.file(b)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing an archive: %w", err)
	}
	return m.cfg.Ledger.RemoveApplianceBackup(ctx, b.ID)
}

// State tells how the appliance is kept.
func (m *Manager) State(ctx context.Context) (agent.ApplianceBackups, error) {
	var s agent.ApplianceBackups
	backups, err := m.cfg.Ledger.ApplianceBackups(ctx)
	if err != nil {
		return s, err
	}
	jobs, err := m.cfg.Ledger.ApplianceJobs(ctx)
	if err != nil {
		return s, err
	}
	if s.Schedule, err = m.schedule(ctx, backups, jobs); err != nil {
		return s, err
	}
	s.Backups, s.Folder = backups, m.Folder()
	if s.Backups == nil {
		s.Backups = []agent.ApplianceBackup{}
	}
	for _, b := range backups {
		s.Bytes += b.Bytes
		if b.Drill != nil && (s.Drill == nil || b.Drill.At.After(s.Drill.At)) {
			s.Drill = b.Drill
		}
	}
	for _, j := range jobs {
		if !j.Status.Done() {
			s.Running = &j
		} else if j.Kind == agent.ApplianceBackupJob && s.Last == nil {
			s.Last = &j
		}
	}
	target, ok, err := m.cfg.Ledger.BackupTarget(ctx)
	if ok {
		s.Target = target.Endpoint + "/" + target.Bucket
	}
	if err != nil {
		return s, err
	}
	_, s.KeyShown, err = m.key(ctx)
	return s, err
}

func (m *Manager) publish(ctx context.Context) {
	s, err := m.State(ctx)
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "backups of the appliance can't be shown", "error", err)
		return
	}
	m.cfg.Publish("appliance", "backups", s)
}

func (m *Manager) tell(ctx context.Context, level, message, by string) {
	m.cfg.Record(ctx, agent.Activity{Level: level, Subject: "appliance", Message: message, By: by})
}

func freeSpace(folder string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return 0, fmt.Errorf("asking for free space: %w", err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil //nolint:gosec // below 2^63
}
