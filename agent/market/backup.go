package market

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const (
	incomingPrefix = ".incoming-"
	triggerManual  = "manual"
	triggerPlan    = "scheduled"

	// leastFree is how much of the disk a backup leaves, in bytes.
	leastFree = 512 << 20
)

// contents is what hks-service says of an archive (packaging/images/service).
type contents struct {
	SHA256 string              `json:"sha256"`
	Bytes  int64               `json:"bytes"`
	Tables []agent.BackupTable `json:"tables"`

	Restarts bool `json:"restarts,omitempty"` // after a restore: the server is started anew for it
}

func (m *Manager) backupFolder(service string) string { return filepath.Join(m.cfg.Backups, service) }

func (m *Manager) archive(b agent.Backup) string {
	return filepath.Join(m.backupFolder(b.Service), strconv.FormatInt(b.ID, 10)+".backup")
}

// key is where a backup is in a remote store.
func key(target agent.BackupTarget, b agent.Backup) string {
	return strings.TrimPrefix(strings.Trim(target.Prefix, "/")+"/"+b.Service+"/"+strconv.FormatInt(b.ID, 10)+"-"+b.CreatedAt.UTC().Format("20060102T150405Z")+".backup", "/")
}

// Backup accepts a backup of a service.
func (m *Manager) Backup(ctx context.Context, name, by string) (agent.ServiceJob, error) {
	if _, err := m.withEngine(ctx, name); err != nil {
		return agent.ServiceJob{}, err
	}
	return m.submit(ctx, agent.ServiceJob{Service: name, Kind: kindBackup, By: by}, backupArgs{Trigger: triggerManual}, "")
}

type backupArgs struct {
	Trigger string `json:"trigger"`
}

// Backups lists the backups of a service, newest first.
func (m *Manager) Backups(ctx context.Context, name string) ([]agent.Backup, error) {
	if _, err := m.service(ctx, name); err != nil {
		return nil, err
	}
	return m.cfg.Store.Backups(ctx, name)
}

// backup streams an archive out of the instance into a file beside its place.
// The backup is there when the file is whole, checked and on disk.
func (w *worker) backup(ctx context.Context, s store.Service) error {
	var args backupArgs
	if err := w.cfg.Store.ServiceJobArgs(ctx, w.job.ID, &args); err != nil {
		return err
	}
	namespace, err := w.namespace(ctx)
	if err != nil {
		return err
	}
	chart, err := w.catalogue.of(s)
	if err != nil {
		return err
	}
	if err := w.roomFor(s); err != nil {
		return err
	}
	if err := w.step(ctx, "saving what is in %s", s.Name); err != nil {
		return err
	}
	file, err := os.CreateTemp(w.cfg.Backups, incomingPrefix)
	if err != nil {
		return fmt.Errorf("making the archive's file: %w", err)
	}
	defer func() { _ = errors.Join(file.Close(), ignoreAbsent(os.Remove(file.Name()))) }() // moved away when all went well
	hash := sha256.New()
	written := &counted{}
	told, err := w.serve(ctx, namespace, s, nil, io.MultiWriter(file, hash, written), "backup")
	if err != nil {
		return err
	}
	got, err := lastContents(told)
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != got.SHA256 || written.bytes != got.Bytes {
		return agent.Errorf(agent.CodeClusterAway, "it is tried again", "the archive was damaged on its way out of the instance")
	}
	if err := errors.Join(file.Sync(), os.MkdirAll(w.backupFolder(s.Name), 0o700)); err != nil {
		return fmt.Errorf("keeping the archive: %w", err)
	}
	b := agent.Backup{
		Service: s.Name, Engine: s.Engine, AppVersion: chart.AppVersion(), Trigger: args.Trigger, By: w.job.By,
		Bytes: got.Bytes, SHA256: got.SHA256, Tables: got.Tables,
	}
	b, err = w.cfg.Store.AddBackup(ctx, b, func(id int64) error {
		b.ID = id
		return errors.Join(os.Rename(file.Name(), w.archive(b)), syncFolder(w.backupFolder(s.Name)))
	})
	if err != nil {
		return err
	}
	w.job.Backup = b.ID
	if err := w.step(ctx, "backup %d: %s, %s, %s", b.ID, countOf(len(b.Tables), "table"), countOf(int(rowsOf(b)), "row"), bytesText(b.Bytes)); err != nil {
		return err
	}
	if err := w.copyOut(ctx, b); err != nil {
		return err
	}
	return w.pruneBackups(ctx, s.Name)
}

// roomFor refuses a backup that could fill the machine's disk.
func (m *Manager) roomFor(s store.Service) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(m.cfg.Backups, &disk); err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < leastFree {
		return agent.Errorf(agent.CodeNoSpace, "remove old backups (hks backup delete) or images (hks image prune)", "the machine's disk has only %s left, too little for a backup of %s", sizeText(free), s.Name)
	}
	return nil
}

func rowsOf(b agent.Backup) (rows int64) {
	for _, t := range b.Tables {
		rows += t.Rows
	}
	return rows
}

func countOf(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// counted counts what is written to it.
type counted struct{ bytes int64 }

// Write takes p; it never fails.
func (c *counted) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lastContents reads the last line that the program told.
func lastContents(told string) (contents, error) {
	told = strings.TrimSpace(told)
	line := told[strings.LastIndexByte(told, '\n')+1:]
	var got contents
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		return contents{}, fmt.Errorf("reading what is in an archive: %w", err)
	}
	return got, nil
}

// copyOut puts a copy where the owner said. That it fails fails the job, and
// the backup on this machine stays.
func (w *worker) copyOut(ctx context.Context, b agent.Backup) error {
	target, ok, err := w.cfg.Store.BackupTarget(ctx)
	if err != nil || !ok {
		return err
	}
	if err := w.step(ctx, "copying it to %s", target.Endpoint); err != nil {
		return err
	}
	file, err := os.Open(w.archive(b))
	if err != nil {
		return fmt.Errorf("opening an archive: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	address, err := w.cfg.Remote.Put(ctx, target, key(target, b), file, b.Bytes, b.SHA256)
	if err != nil {
		return err
	}
	return w.cfg.Store.PutBackupRemote(ctx, b.ID, address)
}

// DeleteBackup removes a backup, here and where its copy is.
func (m *Manager) DeleteBackup(ctx context.Context, name string, id int64, by string) error {
	b, err := m.oneBackup(ctx, name, id)
	if err != nil {
		return err
	}
	if job, ok, err := m.cfg.Store.LastServiceJob(ctx, name); err != nil || ok && !job.Status.Done() && job.Backup == id {
		return errors.Join(err, agent.Errorf(agent.CodeConflict, "wait for it to end", "backup %d is being used by a %s", id, job.Kind))
	}
	if err := m.dropBackup(ctx, b); err != nil {
		return err
	}
	m.tell(ctx, name, "info", fmt.Sprintf("backup %d deleted", id), by)
	m.publish(ctx, name)
	return nil
}

func (m *Manager) dropBackup(ctx context.Context, b agent.Backup) error {
	if target, ok, err := m.cfg.Store.BackupTarget(ctx); err != nil {
		return err
	} else if ok && b.Remote != "" {
		if err := m.cfg.Remote.Remove(ctx, target, key(target, b)); err != nil {
			return err
		}
	}
	// The row goes first: a file without one is only a file.
	if err := m.cfg.Store.RemoveBackup(ctx, b.ID); err != nil {
		return err
	}
	if err := ignoreAbsent(os.Remove(m.archive(b))); err != nil {
		return fmt.Errorf("removing an archive: %w", err)
	}
	return nil
}

func (m *Manager) oneBackup(ctx context.Context, name string, id int64) (agent.Backup, error) {
	if _, err := m.service(ctx, name); err != nil {
		return agent.Backup{}, err
	}
	b, ok, err := m.cfg.Store.Backup(ctx, id)
	if err == nil && (!ok || b.Service != name) {
		err = agent.Errorf(agent.CodeNotFound, "hks backup list "+name+" shows what there is", "%s has no backup %d", name, id)
	}
	return b, err
}

// Target returns where copies of backups go, without its key; the zero value
// when they go nowhere.
func (m *Manager) Target(ctx context.Context) (agent.BackupTarget, error) {
	target, ok, err := m.cfg.Store.BackupTarget(ctx)
	if ok {
		target.SecretKey = agent.HiddenValue
	}
	return target, err
}

// SetTarget says where copies of backups go, after a file was written there
// and read again; the zero value: nowhere.
func (m *Manager) SetTarget(ctx context.Context, target agent.BackupTarget, by string) (agent.BackupTarget, error) {
	if target == (agent.BackupTarget{}) {
		m.tell(ctx, "market", "info", "backups are no longer copied elsewhere", by)
		return target, m.cfg.Store.PutBackupTarget(ctx, nil)
	}
	if target.SecretKey == agent.HiddenValue {
		before, ok, err := m.cfg.Store.BackupTarget(ctx)
		if err != nil {
			return agent.BackupTarget{}, err
		}
		if !ok {
			return agent.BackupTarget{}, agent.Errorf(agent.CodeInvalid, "give the secret key", "there is no earlier key to keep")
		}
		target.SecretKey = before.SecretKey
	}
	if err := m.cfg.Remote.Check(ctx, target); err != nil {
		return agent.BackupTarget{}, err
	}
	if err := m.cfg.Store.PutBackupTarget(ctx, &target); err != nil {
		return agent.BackupTarget{}, err
	}
	m.tell(ctx, "market", "info", "backups are copied to "+target.Endpoint+"/"+target.Bucket, by)
	target.SecretKey = agent.HiddenValue
	return target, nil
}
