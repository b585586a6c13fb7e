package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/registry"
	"hks.dev/hks/agent/store"
)

// leftOut are what of the state folder does not belong into an archive: it is
// copied in another way, belongs to this machine only, or can be had again.
var leftOut = map[string]bool{
	"hks.db": true, "hks.db-wal": true, "hks.db-shm": true, // copied by SQLite
	"series.db": true, "series.db-wal": true, "series.db-shm": true, // figures: they begin anew
	"registry/data": true, "registry/incoming": true, // what releases need is added by itself
	"volumes": true, "buildkit": true, "checkouts": true, "join": true, "archives": true,
	"journal.jsonl": true, "k3s.revision": true, "base-images.json": true, "node.json": true,
	".restoring": true, "restore.json": true,
	"backups": true, // of services: the ones that are needed are added by themselves
}

// saved is an archive in the making.
type saved struct {
	to       *archive.Writer
	contents agent.ApplianceParts
	scratch  string
	database string         // the copy of the agent's own
	state    *store.Reading // of that copy
}

// save makes an archive. It is there when it is whole, synced and named.
func (w *worker) save(ctx context.Context) error {
	key, _, err := w.key(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.scratch(), 0o700); err != nil {
		return fmt.Errorf("making the folder of archives: %w", err)
	}
	if err := w.room(); err != nil {
		return err
	}
	temp := filepath.Join(w.scratch(), "archive")
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making an archive: %w", err)
	}
	hash, size := sha256.New(), new(counter)
	to, err := archive.NewWriter(io.MultiWriter(file, hash, size), key.Recipient())
	if err != nil {
		return errors.Join(err, file.Close())
	}
	manifest, err := w.fill(ctx, to)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	b := agent.ApplianceBackup{
		File: fmt.Sprintf("hks-%s-%d.archive", manifest.MadeAt.Format("20060102T150405Z"), w.job.ID), Bytes: int64(*size), SHA256: hex.EncodeToString(hash.Sum(nil)),
		Trigger: w.job.Trigger, By: w.job.By, Contents: manifest.Contents,
	}
	b, err = w.cfg.Ledger.AddApplianceBackup(ctx, b, func() error {
		return errors.Join(os.Rename(temp, w.file(b)), syncFolder(w.Folder()))
	})
	if err != nil {
		return err
	}
	w.job.Backup = b.ID
	if err := w.step(ctx, "archive %d: %d files, %s packed into %s", b.ID, b.Contents.Files, sizeText(b.Contents.Bytes), sizeText(b.Bytes)); err != nil {
		return err
	}
	copied := w.copyOut(ctx, b)
	return errors.Join(copied, w.prune(ctx))
}

// room refuses to begin what would fill the disk.
func (w *worker) room() error {
	free, err := w.cfg.FreeSpace(w.scratch())
	if err != nil {
		return err
	}
	if free < leastFree {
		return agent.Errorf(agent.CodeNoSpace, "delete older ones (hks appliance backup list), or set backup.dir to another disk", "%s has %s free, and an archive leaves %s at least", w.Folder(), sizeText(free), sizeText(leastFree))
	}
	return nil
}

// fill writes everything. The agent's database is copied first: what the
// cluster is ahead by then is work that the restored agent finds done.
func (w *worker) fill(ctx context.Context, to *archive.Writer) (archive.Manifest, error) {
	s := &saved{to: to, scratch: w.scratch()}
	hostname, _ := os.Hostname() // only for people
	s.contents = agent.ApplianceParts{Version: w.cfg.Version, Machine: hostname, Node: w.cfg.Node, Address: w.cfg.Address(), LeftOut: []string{}, Volumes: []agent.VolumeCopy{}}
	for _, one := range []struct {
		what string
		do   func(context.Context, *saved) error
	}{
		{"copying the agent's database", w.addDatabase},
		{"copying the cluster's datastore", w.addCluster},
		{"adding settings, keys, tokens and certificates", w.addState},
		{"adding the images that releases need", w.addImages},
		{"adding the services' newest backups", w.addServices},
		{"copying the volumes", w.addVolumes},
	} {
		if err := w.step(ctx, "%s", one.what); err != nil {
			return archive.Manifest{}, err
		}
		if err := one.do(ctx, s); err != nil {
			return archive.Manifest{}, err
		}
	}
	return to.Close(archive.Manifest{MadeAt: w.cfg.Now().UTC(), Contents: s.contents})
}

func (w *worker) addDatabase(ctx context.Context, s *saved) (err error) {
	s.contents.DatabaseAt = w.cfg.Now().UTC()
	s.database = filepath.Join(s.scratch, "hks.db")
	if err := w.cfg.Ledger.BackupTo(ctx, s.database); err != nil {
		return err
	}
	if s.contents.Rows, err = store.CountRows(ctx, s.database); err != nil {
		return err
	}
	if s.state, err = store.ReadCopy(ctx, s.database); err != nil {
		return err
	}
	return s.to.AddFile(ctx, archive.Database, s.database)
}

func (w *worker) addCluster(ctx context.Context, s *saved) error {
	paths := w.cfg.Settings.Paths()
	from := filepath.Join(paths.K3sData(), "server")
	datastore := filepath.Join(from, "db/state.db")
	if _, err := os.Stat(datastore); errors.Is(err, fs.ErrNotExist) {
		return agent.Errorf(agent.CodeConflict, "wait until the cluster is up (hks status); a cluster on another datastore than k3s's own SQLite has to be saved by that datastore's means",
			"the cluster's datastore %s is not there", datastore)
	}
	s.contents.ClusterAt = w.cfg.Now().UTC()
	copied := filepath.Join(s.scratch, "state.db")
	if err := store.CopyDatabase(ctx, datastore, copied); err != nil {
		return err
	}
	rows, err := store.CountRows(ctx, copied)
	if err != nil {
		return err
	}
	s.contents.Objects = rows["kine"]
	if err := s.to.AddFile(ctx, archive.Datastore, copied); err != nil {
		return err
	}
	if err := os.Remove(copied); err != nil {
		return fmt.Errorf("removing a copy: %w", err)
	}
	// The token decrypts what is in the datastore; keys and certificates are in
	// there too, and beside it for an engine that looks for the files only.
	for _, name := range []string{"token", "agent-token", "node-token", "tls", "cred"} {
		if err := s.addTree(ctx, filepath.Join(from, name), path.Join(path.Dir(archive.ServerToken), name), nil); err != nil {
			return err
		}
	}
	// The node is let in by this password only. It is outside of every root.
	return s.addTree(ctx, "/"+strings.TrimPrefix(archive.NodePassword, archive.Machine), archive.NodePassword, nil)
}

func (w *worker) addState(ctx context.Context, s *saved) error {
	paths := w.cfg.Settings.Paths()
	if err := s.addTree(ctx, paths.ConfigFile(), archive.Settings, nil); err != nil {
		return err
	}
	folder := paths.State()
	return s.addTree(ctx, folder, path.Dir(archive.Database), func(file string) bool {
		name, err := filepath.Rel(folder, file)
		return err != nil || leftOut[name] || file == w.Folder() || strings.HasPrefix(name, "hks.db.") || strings.Contains(filepath.Base(name), ".tmp")
	})
}

func (w *worker) addImages(ctx context.Context, s *saved) error {
	paths := w.cfg.Settings.Paths()
	data := paths.State("registry/data")
	needed, err := registry.FindNeeded(ctx, data, s.state.Images)
	if err != nil {
		return err
	}
	if len(needed.Missing) > 0 {
		return agent.Errorf(agent.CodeConflict, "deploy these apps again, or delete them; hks image list shows what there is",
			"%d parts of images that releases need are not in the registry, %s the first", len(needed.Missing), needed.Missing[0])
	}
	s.contents.Images, s.contents.Blobs = needed.Images, needed.Blobs
	for _, name := range needed.Files {
		if err := s.to.AddFile(ctx, archive.RegistryData+filepath.ToSlash(name), filepath.Join(data, name)); err != nil {
			return err
		}
	}
	return nil
}

// addServices adds the newest backup of each service, and the newest that was
// verified.
func (w *worker) addServices(ctx context.Context, s *saved) error {
	paths := w.cfg.Settings.Paths()
	type have struct{ newest, verified bool }
	seen := map[string]have{}
	for _, b := range s.state.Backups { // newest first
		h, good := seen[b.Service], b.Verified != nil && b.Verified.Good
		if h.newest && (h.verified || !good) {
			continue
		}
		name := path.Join("backups", b.Service, strconv.FormatInt(b.ID, 10)+".backup")
		err := s.to.AddFile(ctx, path.Join(path.Dir(archive.Database), name), paths.State(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // only its copy elsewhere is there
		}
		if err != nil {
			return err
		}
		seen[b.Service] = have{true, h.verified || good}
	}
	for _, name := range s.state.Services {
		if !seen[name].newest {
			s.contents.LeftOut = append(s.contents.LeftOut, "the data of the service "+name+": it has no backup (hks backup create "+name+")")
		}
	}
	return nil
}

func (w *worker) addVolumes(ctx context.Context, s *saved) error {
	for _, v := range s.state.Volumes {
		if v.Status != agent.VolumeReady && v.Status != agent.VolumeGrowing {
			continue
		}
		if !w.job.Volumes {
			s.contents.LeftOut = append(s.contents.LeftOut, "the volume "+v.Claim)
			continue
		}
		copied := filepath.Join(s.scratch, v.ID)
		paused, err := w.cfg.Disks.Snapshot(ctx, v.ID, copied)
		if err != nil {
			return err
		}
		if err := s.to.AddFile(ctx, archive.VolumesDir+v.ID+"/disk.img", copied); err != nil {
			return err
		}
		if err := os.Remove(copied); err != nil {
			return fmt.Errorf("removing a copy: %w", err)
		}
		s.contents.Volumes = append(s.contents.Volumes, agent.VolumeCopy{ID: v.ID, Claim: v.Claim, Bytes: v.Size, Paused: paused})
		if err := w.step(ctx, "volume %s, %s; its writes waited %s", v.Claim, sizeText(v.Size), paused.Round(time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// addTree adds a file, or all files of a folder but those that skip names. What
// is not there is fine, and so is what goes away meanwhile.
func (s *saved) addTree(ctx context.Context, from, name string, skip func(file string) bool) error {
	err := filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if skip != nil && file != from && skip(file) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil // folders are made as needed; sockets and links are nobody's state
		}
		within, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		if err := s.to.AddFile(ctx, path.Join(name, filepath.ToSlash(within)), file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adding %s: %w", from, err)
	}
	return nil
}

// copyOut brings the archive to where the copies of backups go.
func (w *worker) copyOut(ctx context.Context, b agent.ApplianceBackup) error {
	target, ok, err := w.cfg.Ledger.BackupTarget(ctx)
	if err != nil || !ok {
		return err
	}
	if err := w.step(ctx, "copying to %s/%s", target.Endpoint, target.Bucket); err != nil {
		return err
	}
	file, err := os.Open(w.file(b))
	if err != nil {
		return fmt.Errorf("copying an archive: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	remote, err := w.cfg.Remote.Put(ctx, target, remoteKey(target, b), file, b.Bytes, b.SHA256)
	if err != nil {
		return errors.Join(err, w.cfg.Ledger.PutApplianceCopy(ctx, b.ID, "", err.Error()))
	}
	return w.cfg.Ledger.PutApplianceCopy(ctx, b.ID, remote, "")
}

// remoteKey is where an archive is in a remote store.
func remoteKey(target agent.BackupTarget, b agent.ApplianceBackup) string {
	return strings.TrimPrefix(path.Join(strings.Trim(target.Prefix, "/"), "appliance", b.File), "/")
}

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("syncing a folder: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// sizeText is a size for people.
func sizeText(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// missingFrom lists what an archive must have and has not.
func missingFrom(m archive.Manifest) []string {
	var missing []string
	for _, name := range []string{archive.Database, archive.Datastore, archive.ServerToken, archive.SealingKey} {
		if !slices.ContainsFunc(m.Parts, func(p archive.Part) bool { return p.Name == name }) {
			missing = append(missing, name)
		}
	}
	return missing
}
