package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/archive"
	"hks.dev/hks/agent/config"
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
