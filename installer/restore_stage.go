package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/term"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/disk"
	identity "hks.dev/hks/agent/machine"
	"hks.dev/hks/agent/s3"
	"hks.dev/hks/agent/store"
)

// stageArchive checks the archive and unpacks it beside the places of what it holds.
// Nothing of the machine is changed.
func (m *machine) stageArchive(ctx context.Context, o restoreOptions) (restoring, error) {
	key, err := m.recoveryKey(o)
	if err != nil {
		return restoring{}, err
	}
	file, err := m.openArchive(ctx, o)
	if err != nil {
		return restoring{}, err
	}
	defer func() { _ = file.Close() }() // only read
	m.say("checking the archive")
	manifest, err := archive.Read(ctx, file, key, nil)
	if err != nil {
		return restoring{}, err
	}
	m.say("  made %s of hks %s on %s: %d files, %d apps, %d releases", manifest.MadeAt.Format("2006-01-02 15:04 UTC"), manifest.Contents.Version, manifest.Contents.Machine,
		len(manifest.Parts), manifest.Contents.Rows["app"], manifest.Contents.Rows["release"])
	for _, name := range []string{archive.Database, archive.Datastore, archive.ServerToken, archive.SealingKey} {
		if !slices.ContainsFunc(manifest.Parts, func(p archive.Part) bool { return p.Name == name }) {
			return restoring{}, agent.Errorf(agent.CodeInvalid, "take another archive", "the archive lacks %s", name)
		}
	}
	if err := m.roomFor(manifest); err != nil {
		return restoring{}, err
	}
	m.say("unpacking it")
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return restoring{}, fmt.Errorf("reading the archive: %w", err)
	}
	if _, err := archive.Read(ctx, file, key, func(p archive.Part, content io.Reader) error {
		to, err := m.staged(p.Name)
		if err != nil {
			return err
		}
		return archive.Place(p, content, to)
	}); err != nil {
		return restoring{}, err
	}
	return m.mendStaged(ctx, o, manifest)
}

// recoveryKey reads the key from where it was said to be, or asks.
func (m *machine) recoveryKey(o restoreOptions) (archive.Key, error) {
	if o.keyFile != "" {
		text, err := os.ReadFile(o.keyFile)
		if err != nil {
			return archive.Key{}, agent.Errorf(agent.CodeInvalid, "name the file with the key: --key-file FILE", "the recovery key can't be read: %w", err)
		}
		return archive.ParseKey(string(text))
	}
	if text := m.getenv("HKS_RECOVERY_KEY"); text != "" {
		return archive.ParseKey(text)
	}
	fmt.Fprint(m.err, "The recovery key (AGE-SECRET-KEY-1...): ")
	in, ok := m.cfg.In.(*os.File)
	if ok && term.IsTerminal(int(in.Fd())) {
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(m.err)
		if err != nil {
			return archive.Key{}, fmt.Errorf("reading the recovery key: %w", err)
		}
		return archive.ParseKey(string(text))
	}
	text, err := io.ReadAll(io.LimitReader(m.cfg.In, 4096))
	if err != nil {
		return archive.Key{}, fmt.Errorf("reading the recovery key: %w", err)
	}
	return archive.ParseKey(string(text))
}

// openArchive opens the file; one in an S3 store is fetched first.
func (m *machine) openArchive(ctx context.Context, o restoreOptions) (*os.File, error) {
	address, remote := strings.CutPrefix(o.archive, "s3://")
	if !remote {
		file, err := os.Open(o.archive)
		if err != nil {
			return nil, agent.Errorf(agent.CodeNotFound, "name the archive", "the archive can't be read: %w", err)
		}
		return file, nil
	}
	bucket, key, ok := strings.Cut(address, "/")
	if !ok || o.endpoint == "" {
		return nil, usageError{errors.New("an archive in an S3 store is s3://BUCKET/KEY, and --endpoint says where the store is")}
	}
	m.say("fetching %s", o.archive)
	from, err := s3.New().Get(ctx, agent.BackupTarget{
		Endpoint: o.endpoint, Bucket: bucket, Region: o.region, AccessKey: m.getenv("HKS_S3_ACCESS_KEY"), SecretKey: m.getenv("HKS_S3_SECRET_KEY"),
	}, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }() // only read
	folder := m.waiting()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("fetching the archive: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, ".archive"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("fetching the archive: %w", err)
	}
	_, err = io.Copy(file, from)
	// It has a name no longer, and goes when it is closed.
	if _, seek := file.Seek(0, io.SeekStart); err != nil || seek != nil {
		return nil, fmt.Errorf("fetching the archive: %w", errors.Join(err, seek, file.Close()))
	}
	return file, os.Remove(file.Name())
}

// roomFor refuses to begin what the disk has no room for.
func (m *machine) roomFor(manifest archive.Manifest) error {
	var disk syscall.Statfs_t
	folder := m.paths.State()
	for !exists(folder) {
		folder = filepath.Dir(folder)
	}
	if err := syscall.Statfs(folder, &disk); err != nil {
		return fmt.Errorf("asking for free space: %w", err)
	}
	free, needs := int64(disk.Bavail)*disk.Bsize, manifest.Contents.Bytes+(1<<30) //nolint:gosec // below 2^63
	if free < needs {
		return agent.Errorf(agent.CodeNoSpace, "free some, or take a machine with a larger disk", "the archive unpacks to %d MiB, and %s has %d MiB free", manifest.Contents.Bytes>>20, folder, free>>20)
	}
	return nil
}

// mendStaged makes what was unpacked fit this machine, while it is nobody's
// yet: the databases are opened here, where a mistake costs nothing.
func (m *machine) mendStaged(ctx context.Context, o restoreOptions, manifest archive.Manifest) (restoring, error) {
	m.say("checking the databases")
	r := restoring{Archive: o.archive, Of: manifest.Contents, MadeAt: manifest.MadeAt, Left: []string{}}
	state := m.waiting()
	server, err := m.staged(archive.Datastore)
	if err != nil {
		return r, err
	}
	rows, err := store.CountRows(ctx, server)
	if err != nil {
		return r, err
	}
	if rows["kine"] != manifest.Contents.Objects {
		return r, fmt.Errorf("the cluster's datastore has %d rows, %d were saved", rows["kine"], manifest.Contents.Objects)
	}
	database := filepath.Join(state, "hks.db")
	if _, err := store.CountRows(ctx, database); err != nil {
		return r, err
	}
	key, err := os.ReadFile(filepath.Join(state, "secret.key"))
	if err != nil {
		return r, fmt.Errorf("reading the sealing key: %w", err)
	}
	if _, err := store.OpensSecrets(ctx, database, key); err != nil {
		return r, err
	}
	db, err := store.New(store.Config{Path: database, Key: key})
	if err != nil {
		return r, err
	}
	if err := db.Open(ctx); err != nil { // brings it to this version's schema, or refuses a newer one
		return r, err
	}
	defer func() { _ = db.Close() }() // closed below when all went well
	if err := db.AfterRestore(ctx, func(b agent.Backup) bool {
		return exists(filepath.Join(state, "backups", b.Service, strconv.FormatInt(b.ID, 10)+".backup"))
	}); err != nil {
		return r, err
	}
	if err := m.emptyVolumes(ctx, db, state, manifest, &r); err != nil {
		return r, err
	}
	if err := db.Close(); err != nil {
		return r, err
	}
	// The node keeps its name whatever the machine's is: volumes and pods know it.
	now := identity.Now("")
	now.Node = manifest.Contents.Node
	moved, err := moveSettings(filepath.Join(state, settingsFolder, filepath.Base(m.paths.ConfigFile())), identity.Owns, now.Address)
	if err != nil {
		return r, err
	}
	r.Left = append(r.Left, moved...)
	if err := now.Write(filepath.Join(state, "machine.json")); err != nil {
		return r, err
	}
	for _, left := range manifest.Contents.LeftOut {
		if !strings.HasPrefix(left, "the volume ") { // those are named with what they are now
			r.Left = append(r.Left, left)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("noting how far the restore is: %w", err)
	}
	return r, replaceFile(filepath.Join(state, restoringFile), data, 0o600)
}

// emptyVolumes makes an empty disk for each volume that is not in the archive:
// pods start on it, and a service's data is put back from its own backup.
func (m *machine) emptyVolumes(ctx context.Context, db *store.Store, state string, manifest archive.Manifest, r *restoring) error {
	volumes, err := db.Volumes(ctx)
	if err != nil {
		return err
	}
	disks, err := disk.New(disk.Config{Dir: filepath.Join(state, "volumes")})
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if slices.ContainsFunc(manifest.Contents.Volumes, func(c agent.VolumeCopy) bool { return c.ID == v.ID }) {
			if err := os.MkdirAll(filepath.Join(state, "volumes", v.ID, "fs"), 0o700); err != nil {
				return fmt.Errorf("placing the volume %s: %w", v.Claim, err)
			}
			continue
		}
		if v.Status != agent.VolumeReady && v.Status != agent.VolumeGrowing {
			continue // nobody's any more, or never made
		}
		if err := disks.Make(ctx, v.ID, v.Size); err != nil {
			return err
		}
		r.Left = append(r.Left, "the volume "+v.Claim+" is empty; what is in a service comes back with hks backup list and hks backup restore")
	}
	return nil
}
