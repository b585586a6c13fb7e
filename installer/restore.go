package installer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/disk"
	identity "hks.dev/hks/agent/machine"
	"hks.dev/hks/agent/s3"
	"hks.dev/hks/agent/store"
)

type restoreOptions struct {
	archive  string // file, or s3://BUCKET/KEY
	endpoint string // of the S3 store
	region   string
	keyFile  string
	replace  string // name of the machine whose appliance is to be overwritten
	up       upOptions
}

func restoreCommand(cfg Config, root *string) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore ARCHIVE",
		Short: "Make this machine the appliance that an archive was made of",
		Long: "Makes this machine the appliance that an archive was made of: its apps, releases, secrets, schedules, users and\n" +
			"tokens under the same addresses. The archive is decrypted, checked as a whole and unpacked beside its place before\n" +
			"anything is changed; a run that was interrupted goes on where it ended. ARCHIVE is a file, or s3://BUCKET/KEY with\n" +
			"--endpoint and the keys in HKS_S3_ACCESS_KEY and HKS_S3_SECRET_KEY. The recovery key is read from --key-file, from\n" +
			"HKS_RECOVERY_KEY, or asked for.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("restore takes the archive: a file, or s3://BUCKET/KEY")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := newMachineToClean(cfg, *root)
			if err != nil {
				return err
			}
			o.archive = args[0]
			if o.up.k3s == "" {
				o.up.k3s = m.getenv("HKS_K3S_BINARY")
			}
			return m.restore(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.keyFile, "key-file", "", "file with the recovery key, as hks recovery-key showed it")
	f.StringVar(&o.endpoint, "endpoint", "", "address of the S3 store, https://HOST[:PORT]")
	f.StringVar(&o.region, "region", "", "region of the S3 store")
	f.StringVar(&o.replace, "replace", "", "host name of this machine, when the appliance on it is to be overwritten")
	f.StringVar(&o.up.from, "from", "", "folder with the programs to install (default: the folder of this program)")
	f.StringVar(&o.up.k3s, "k3s", "", "k3s binary to install (default: $HKS_K3S_BINARY, else the one in the --from folder)")
	f.DurationVar(&o.up.timeout, "timeout", 15*time.Minute, "how long to wait until all parts are healthy")
	return cmd
}

// restoring is what an interrupted restore leaves for the next run.
type restoring struct {
	Archive string               `json:"archive"` // which one, by what makes it another
	Left    []string             `json:"left"`    // what is not as it was
	Of      agent.ApplianceParts `json:"of"`
	MadeAt  time.Time            `json:"madeAt"`
}

const (
	restoringSuffix = ".restoring"
	restoringFile   = "restore.json"
	machineFolder   = ".machine"  // parts that belong outside of the root
	settingsFolder  = ".settings" // the folder of the settings
)

// restore makes this machine what the archive holds.
func (m *machine) restore(ctx context.Context, o restoreOptions) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	files, err := m.programs(o.up)
	if err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	r, goesOn, err := m.begunRestore(o)
	if err != nil {
		return err
	}
	if !goesOn {
		if err := m.refuseLiving(ctx, o); err != nil {
			return err
		}
		if o.replace == "" { // else what runs here is in the way of itself
			if err := m.checkMachine(ctx); err != nil {
				return err
			}
		}
		if r, err = m.stageArchive(ctx, o); err != nil {
			return errors.Join(err, m.clearStaged())
		}
	}
	if err := m.placeStaged(ctx); err != nil {
		return err
	}
	settings, err := config.Load(m.settings.Root, func(string) string { return "" })
	if err != nil {
		return err
	}
	m.settings, m.paths = settings, settings.Paths()
	if err := m.place(ctx, files); err != nil {
		return err
	}
	if err := m.placeImages(o.up); err != nil {
		return err
	}
	s, err := m.agentService()
	if err != nil {
		return err
	}
	if err := m.runAgent(ctx, s, o.up.timeout); err != nil {
		return err
	}
	if err := m.loadBaseImages(ctx, o.up.from); err != nil {
		return err
	}
	if err := os.Remove(m.paths.State(restoringFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ending the restore: %w", err)
	}
	fmt.Fprintf(m.out, "restored what %s was on %s.\n", r.Of.Machine, r.MadeAt.Format("2006-01-02 15:04 UTC"))
	for _, left := range r.Left {
		fmt.Fprintf(m.out, "  not as it was: %s\n", left)
	}
	return m.printAccess(ctx)
}

// waiting is the folder in which everything but the cluster's datastore waits:
// in the state folder itself, which may be a disk of its own.
func (m *machine) waiting() string { return m.paths.State(".restoring") }

// server is where k3s keeps what makes the cluster the one it is.
func (m *machine) server() string { return filepath.Join(m.paths.K3sData(), "server") }

// staged is where a part waits until all of them are there.
func (m *machine) staged(name string) (string, error) {
	if within, ok := strings.CutPrefix(name, archive.Machine); ok {
		return filepath.Join(m.waiting(), machineFolder, filepath.FromSlash(within)), nil
	}
	target := m.paths.At(filepath.FromSlash(strings.TrimPrefix(name, archive.Root)))
	for _, pair := range [][2]string{
		{m.server(), m.server() + restoringSuffix},
		{filepath.Dir(m.paths.ConfigFile()), filepath.Join(m.waiting(), settingsFolder)},
		{m.paths.State(), m.waiting()},
	} {
		if rest, ok := strings.CutPrefix(target, pair[0]+"/"); ok {
			return filepath.Join(pair[1], rest), nil
		}
	}
	return "", agent.Errorf(agent.CodeInvalid, "take the version of hks that made it", "the archive holds %s, which this version has no place for", name)
}

// begunRestore finds an earlier run that was interrupted after everything was
// unpacked.
func (m *machine) begunRestore(o restoreOptions) (restoring, bool, error) {
	for _, folder := range []string{m.waiting(), m.paths.State()} {
		data, err := os.ReadFile(filepath.Join(folder, restoringFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var r restoring
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return r, false, fmt.Errorf("reading what an earlier restore left: %w", err)
		}
		if r.Archive != o.archive {
			return r, false, agent.Errorf(agent.CodeConflict, "end that one first: hks-installer restore "+r.Archive+"; or remove all of it: hks-installer purge",
				"an earlier restore from %s has not ended", r.Archive)
		}
		m.say("going on with the restore that was interrupted")
		return r, true, nil
	}
	return restoring{}, false, m.clearStaged()
}

// clearStaged takes away what was unpacked, and the folders that were made for
// it when nothing else is in them.
func (m *machine) clearStaged() error {
	err := errors.Join(os.RemoveAll(m.waiting()), os.RemoveAll(m.server()+restoringSuffix))
	for _, folder := range []string{m.paths.State(), m.paths.K3sData(), filepath.Dir(m.paths.K3sData())} {
		_ = os.Remove(folder) // one that is not empty, or a disk of its own, stays
	}
	return err
}

// refuseLiving keeps an appliance from being overwritten by mistake.
func (m *machine) refuseLiving(ctx context.Context, o restoreOptions) error {
	host, _ := os.Hostname() // empty: no name matches
	pids, err := m.ownPIDs(ctx)
	if err != nil {
		return err
	}
	there := len(pids) > 0
	for _, file := range []string{m.paths.State("hks.db"), filepath.Join(m.paths.K3sData(), "server/db"), m.paths.NodeFile()} {
		there = there || exists(file)
	}
	switch {
	case !there && o.replace != "":
		return usageError{errors.New("there is no appliance here, so there is nothing to --replace")}
	case there && o.replace == "":
		return agent.Errorf(agent.CodeConflict, "take a clean machine; or, to lose what is here for good: --replace "+host, "there is an appliance on this machine already")
	case there && o.replace != host:
		return agent.Errorf(agent.CodeConflict, "give the name of this machine: --replace "+host, "--replace %s is not the name of this machine", o.replace)
	}
	return nil
}

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

// placeStaged moves what was unpacked to its places. Each move is one rename,
// and one that was made before an interruption is seen to be. The note of the
// restore comes last: it says that the others are in place.
func (m *machine) placeStaged(ctx context.Context) error {
	waiting := m.waiting()
	if !exists(filepath.Join(waiting, restoringFile)) {
		return nil // the last move was made
	}
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	if exists(m.server() + restoringSuffix) { // else what is there is the restored one
		if err := m.takeOldAway(ctx); err != nil {
			return err
		}
		if err := moveOver(m.server()+restoringSuffix, m.server()); err != nil {
			return err
		}
	}
	m.say("placing it")
	if err := m.placePassword(filepath.Join(waiting, machineFolder)); err != nil {
		return err
	}
	if err := m.placeSettings(filepath.Join(waiting, settingsFolder)); err != nil {
		return err
	}
	entries, err := os.ReadDir(waiting)
	if err != nil {
		return fmt.Errorf("placing what was restored: %w", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != restoringFile && !strings.HasPrefix(name, ".") {
			if err := moveOver(filepath.Join(waiting, name), m.paths.State(name)); err != nil {
				return err
			}
		}
	}
	if err := moveOver(filepath.Join(waiting, restoringFile), m.paths.State(restoringFile)); err != nil {
		return err
	}
	return os.RemoveAll(waiting)
}

// takeOldAway takes the appliance of before off this machine.
func (m *machine) takeOldAway(ctx context.Context) error {
	if !exists(m.paths.State("hks.db")) && !exists(m.paths.NodeFile()) && !exists(m.server()) {
		return nil
	}
	m.say("taking the appliance of before off this machine")
	cleaner, err := m.cleaner()
	if err != nil {
		return err
	}
	if err := m.takeDown(ctx, cleaner); err != nil {
		return err
	}
	gone := []string{m.server(), filepath.Join(m.paths.K3sData(), "agent")}
	entries, err := os.ReadDir(m.paths.State())
	if err != nil {
		return fmt.Errorf("looking at what is there: %w", err)
	}
	for _, entry := range entries {
		if path := m.paths.State(entry.Name()); path != m.waiting() {
			gone = append(gone, path)
		}
	}
	return cleaner.RemoveTrees(gone...)
}

// placeSettings puts the settings where they belong; what else is in their
// folder stays.
func (m *machine) placeSettings(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it had none, so the defaults are in force
	}
	if err != nil {
		return fmt.Errorf("placing the settings: %w", err)
	}
	target := filepath.Dir(m.paths.ConfigFile())
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("placing the settings: %w", err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err == nil {
			err = replaceFile(filepath.Join(target, entry.Name()), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("placing the settings: %w", err)
		}
	}
	return nil
}

// moveOver renames a file or folder over what is there.
func moveOver(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("placing %s: %w", to, err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("placing %s: %w", to, err)
	}
	return syncDir(filepath.Dir(to))
}

// placePassword puts the node's password where its cluster looks for it, and
// keeps another one that is there beside it.
func (m *machine) placePassword(folder string) error {
	name := strings.TrimPrefix(archive.NodePassword, archive.Machine)
	data, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	target := "/" + name
	if before, err := os.ReadFile(target); err == nil && !bytes.Equal(before, data) {
		if err := os.Rename(target, target+".before-restore"); err != nil {
			return fmt.Errorf("placing the node's password: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	if err := replaceFile(target, data, 0o600); err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	return os.RemoveAll(folder)
}

func syncDir(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("syncing a folder: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
