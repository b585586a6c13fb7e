package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/registry"
	"hks.dev/hks/agent/store"
)

// drill restores an archive into scratch and looks whether an appliance could
// come of it. It starts no cluster, and says so.
func (w *worker) drill(ctx context.Context) error {
	b, err := w.Get(ctx, w.job.Backup)
	if err != nil {
		return err
	}
	d := agent.ApplianceDrill{Backup: b.ID, Checked: []string{}}
	err = w.try(ctx, b, &d)
	if ctx.Err() != nil {
		return err
	}
	d.At, d.Good = w.cfg.Now().UTC(), err == nil
	if d.Message = "everything that was looked at is in order; no cluster was started from it"; err != nil {
		d.Message = err.Error()
	}
	return errors.Join(err, w.cfg.Ledger.PutApplianceDrill(ctx, d))
}

func (w *worker) try(ctx context.Context, b agent.ApplianceBackup, d *agent.ApplianceDrill) error {
	found := func(format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		d.Checked = append(d.Checked, text)
		return w.step(ctx, "%s", text)
	}
	key, _, err := w.key(ctx)
	if err != nil {
		return err
	}
	if err := w.fits(b); err != nil {
		return err
	}
	if err := w.unchanged(ctx, b); err != nil {
		return err
	}
	if err := found("the file is as it was written, %s", sizeText(b.Bytes)); err != nil {
		return err
	}
	root := filepath.Join(w.scratch(), "drill")
	manifest, err := w.unpack(ctx, b, key, root)
	if err != nil {
		return err
	}
	if missing := missingFrom(manifest); len(missing) > 0 {
		return agent.Errorf(agent.CodeConflict, "make another: hks appliance backup create", "the archive lacks %s", strings.Join(missing, ", "))
	}
	if err := found("the recovery key opens it; %d files have the sizes and hashes that were saved", len(manifest.Parts)); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	rows, err := store.CountRows(ctx, at(archive.Database))
	if err != nil {
		return err
	}
	if !maps.Equal(rows, manifest.Contents.Rows) {
		return fmt.Errorf("the agent's database has other rows than when it was saved: %v, not %v", rows, manifest.Contents.Rows)
	}
	if err := found("the agent's database is sound: %d apps, %d releases, %d cron jobs, %d functions, %d tokens", rows["app"], rows["release"], rows["cron_job"], rows["function"], rows["token"]); err != nil {
		return err
	}
	sealing, err := os.ReadFile(at(archive.SealingKey))
	if err != nil {
		return fmt.Errorf("reading the sealing key: %w", err)
	}
	recovery, err := store.OpensSecrets(ctx, at(archive.Database), sealing)
	if err != nil {
		return err
	}
	if strings.TrimSpace(recovery) != key.String() {
		return errors.New("the archive holds another recovery key than the one that opened it")
	}
	if err := found("the sealing key opens the secrets in it"); err != nil {
		return err
	}
	cluster, err := store.CountRows(ctx, at(archive.Datastore))
	if err != nil {
		return err
	}
	if cluster["kine"] == 0 || cluster["kine"] != manifest.Contents.Objects {
		return fmt.Errorf("the cluster's datastore has %d rows, %d were saved", cluster["kine"], manifest.Contents.Objects)
	}
	if err := found("the cluster's datastore is sound, %d rows, and its token is there", cluster["kine"]); err != nil {
		return err
	}
	return w.tryFiles(ctx, root, manifest, found)
}

// tryFiles looks for what the database says that belongs to it.
func (w *worker) tryFiles(ctx context.Context, root string, manifest archive.Manifest, found func(string, ...any) error) error {
	reading, err := store.ReadCopy(ctx, filepath.Join(root, filepath.FromSlash(archive.Database)))
	if err != nil {
		return err
	}
	needed, err := registry.FindNeeded(ctx, filepath.Join(root, filepath.FromSlash(archive.RegistryData)), reading.Images)
	if err != nil {
		return err
	}
	if len(needed.Missing) > 0 || needed.Images != manifest.Contents.Images || needed.Blobs != manifest.Contents.Blobs {
		return fmt.Errorf("%d images of %d parts are there, %d of %d were saved; missing: %v", needed.Images, needed.Blobs, manifest.Contents.Images, manifest.Contents.Blobs, needed.Missing)
	}
	if err := found("all %d images that releases need are there, %d parts", needed.Images, needed.Blobs); err != nil {
		return err
	}
	for _, v := range manifest.Contents.Volumes {
		if !slices.ContainsFunc(manifest.Parts, func(p archive.Part) bool { return p.Name == archive.VolumesDir+v.ID+"/disk.img" && p.Bytes > 0 }) {
			return fmt.Errorf("the volume %s is not there", v.Claim)
		}
	}
	if len(manifest.Contents.Volumes) > 0 {
		return found("%d volumes are there as they were copied", len(manifest.Contents.Volumes))
	}
	return nil
}

// fits refuses a drill that would fill the disk: it takes what is unpacked but
// the volumes, whose content is only hashed.
func (w *worker) fits(b agent.ApplianceBackup) error {
	if err := os.MkdirAll(w.scratch(), 0o700); err != nil {
		return fmt.Errorf("making the folder of a drill: %w", err)
	}
	free, err := w.cfg.FreeSpace(w.scratch())
	if err != nil {
		return err
	}
	needs := b.Contents.Bytes + leastFree
	for _, v := range b.Contents.Volumes {
		needs -= v.Bytes
	}
	if free < needs {
		return agent.Errorf(agent.CodeNoSpace, "delete older ones (hks appliance backup list), or set backup.dir to another disk", "a drill takes %s, and %s has %s free", sizeText(needs), w.Folder(), sizeText(free))
	}
	return nil
}

// unchanged compares the file with what was written.
func (w *worker) unchanged(ctx context.Context, b agent.ApplianceBackup) error {
	_, f, err := w.Open(ctx, b.ID)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return fmt.Errorf("reading archive %d: %w", b.ID, err)
	}
	if n != b.Bytes || hex.EncodeToString(hash.Sum(nil)) != b.SHA256 {
		return agent.Errorf(agent.CodeConflict, "delete it (hks appliance backup delete "+fmt.Sprint(b.ID)+") and make another", "the file of backup %d is not as it was written: %d bytes of %d", b.ID, n, b.Bytes)
	}
	return nil
}

func (w *worker) unpack(ctx context.Context, b agent.ApplianceBackup, key archive.Key, root string) (archive.Manifest, error) {
	_, f, err := w.Open(ctx, b.ID)
	if err != nil {
		return archive.Manifest{}, err
	}
	defer func() { _ = f.Close() }() // only read
	return archive.Read(ctx, f, key, func(p archive.Part, content io.Reader) error {
		if strings.HasPrefix(p.Name, archive.VolumesDir) {
			return nil // only hashed: it may be larger than what is free
		}
		return archive.Place(p, content, filepath.Join(root, filepath.FromSlash(p.Name)))
	})
}
