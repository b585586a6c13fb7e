package installer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Bounds of a support bundle.
const (
	logTail      = 512 << 10        // bytes of each log
	clusterLimit = 20 * time.Second // of each question to the cluster
	commandLimit = 10 * time.Second
	largestPiece = 4 << 20
)

// piece is one file of a support bundle.
type piece struct {
	name string
	data []byte
}

// supportBundle writes what helps to find out what is wrong into one archive,
// without a secret. It works with everything down: what can't be had is told
// in NOTES.
func (d *doctor) supportBundle(ctx context.Context, out string, asJSON bool) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	if out == "" {
		out = "hks-support-" + d.now().UTC().Format("20060102-150405") + ".tar.gz"
	}
	d.say("reading the install's secrets, to leave them out")
	known, notes := d.readSecrets(ctx)
	var pieces []piece
	for _, part := range []struct {
		what   string
		gather func(context.Context) ([]piece, []string)
	}{
		{"what doctor finds", d.gatherFindings}, {"versions", d.gatherVersions}, {"settings and journal", d.gatherFiles},
		{"logs", d.gatherLogs}, {"facts of the databases", d.gatherDatabases}, {"objects of the cluster", d.gatherCluster},
	} {
		d.say("gathering %s", part.what)
		more, told := part.gather(ctx)
		pieces, notes = append(pieces, more...), append(notes, told...)
	}
	pieces = append(pieces, piece{"NOTES", []byte(strings.Join(append([]string{"What could not be had, and why:"}, notes...), "\n") + "\n")})
	scrubber := known.scrubber()
	for i := range pieces {
		pieces[i].data = scrubber.scrub(pieces[i].data)
		if known.found(pieces[i].data) {
			pieces[i].data = []byte("left out: a secret is in it\n")
			d.say("  %s is left out, as a secret is in it", pieces[i].name)
		}
	}
	if err := writeArchive(out, pieces, d.now()); err != nil {
		return err
	}
	if asJSON {
		names := make([]string, len(pieces))
		for i, p := range pieces {
			names[i] = p.name
		}
		return d.printJSON(struct {
			File   string   `json:"file"`
			Pieces []string `json:"pieces"`
			Notes  []string `json:"notes"`
		}{out, names, append([]string{}, notes...)})
	}
	d.say("It holds no secret that is known here; look into it before you send it to anybody.")
	fmt.Fprintln(d.out, out)
	return nil
}

func (d *doctor) gatherFindings(ctx context.Context) ([]piece, []string) {
	data, err := json.MarshalIndent(d.look(ctx), "", "  ")
	if err != nil {
		return nil, []string{"doctor: " + err.Error()}
	}
	return []piece{{"doctor.json", data}}, nil
}

func (d *doctor) gatherVersions(ctx context.Context) ([]piece, []string) {
	var notes []string
	facts := map[string]any{"installer": d.cfg.Version, "arch": runtime.GOARCH, "cpus": runtime.NumCPU(), "time": d.now().UTC().Format(time.RFC3339), "systemd": d.bySystemd()}
	if version, names, err := d.installedVersion(); err == nil {
		facts["installed"], facts["programs"] = version, names
	} else {
		notes = append(notes, "the installed version: "+err.Error())
	}
	if memory, err := totalMemory(); err == nil {
		facts["memoryBytes"] = memory
	}
	if system, err := d.system(ctx); err == nil {
		facts["system"] = system
	} else {
		notes = append(notes, "the state of the parts: "+err.Error())
	}
	if data, err := os.ReadFile("/proc/version"); err == nil {
		facts["kernel"] = strings.TrimSpace(string(data))
	}
	if data, err := os.ReadFile("/etc/os-release"); err == nil {
		facts["os"] = strings.TrimSpace(string(data))
	}
	data, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return nil, append(notes, "versions: "+err.Error())
	}
	return []piece{{"versions.json", data}}, notes
}

func (d *doctor) gatherFiles(context.Context) ([]piece, []string) {
	var pieces []piece
	var notes []string
	for name, file := range map[string]string{
		"settings/config.yaml": d.paths.ConfigFile(), "settings/k3s.yaml": d.paths.K3sConfig(), "journal.jsonl": d.journalFile(), "upgrade.json": d.paths.UpgradeFile(),
		"machine/mounts": "/proc/self/mountinfo", "machine/meminfo": "/proc/meminfo", "machine/resolv.conf": "/etc/resolv.conf", "machine/hosts": d.paths.Hosts(),
	} {
		data, err := readTail(file, largestPiece)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			notes = append(notes, err.Error())
			continue
		case strings.HasPrefix(name, "settings/"):
			data = redactSettings(data)
		}
		pieces = append(pieces, piece{name, data})
	}
	slices.SortFunc(pieces, func(a, b piece) int { return strings.Compare(a.name, b.name) })
	return pieces, notes
}

func (d *doctor) gatherLogs(ctx context.Context) ([]piece, []string) {
	var pieces []piece
	var notes []string
	files, err := filepath.Glob(d.paths.Logs("*.log"))
	if err != nil {
		notes = append(notes, err.Error())
	}
	for _, file := range append(files, d.logFile()) {
		if filepath.Base(file) == "access.log" {
			continue // who visited what is the owner's users' own
		}
		data, err := readTail(file, logTail)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			notes = append(notes, err.Error())
		default:
			pieces = append(pieces, piece{"logs/" + filepath.Base(file), data})
		}
	}
	if d.bySystemd() {
		data, err := command(ctx, commandLimit, "journalctl", "--no-pager", "--lines=5000", "--unit=hks-*")
		if err != nil {
			notes = append(notes, err.Error())
		}
		pieces = append(pieces, piece{"logs/journal", data})
	}
	return pieces, notes
}

func (d *doctor) gatherDatabases(ctx context.Context) ([]piece, []string) {
	var notes []string
	facts := map[string]store.FileFacts{}
	for _, file := range []string{d.paths.State("hks.db"), d.paths.State("series.db"), d.engineDatabase()} {
		if !exists(file) {
			notes = append(notes, "there is no "+file)
			continue
		}
		f, err := store.InspectFile(ctx, file)
		if err != nil {
			notes = append(notes, err.Error())
			continue
		}
		facts[file] = f
	}
	data, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return nil, append(notes, err.Error())
	}
	return []piece{{"databases.json", data}}, notes
}

// gatherCluster asks for tables, not for objects: what containers get by their
// environment is not in them. Of Secrets there are names only.
func (d *doctor) gatherCluster(ctx context.Context) ([]piece, []string) {
	var pieces []piece
	var notes []string
	for _, kind := range []string{
		"nodes", "namespaces", "pods", "deployments", "statefulsets", "jobs", "services", "ingresses", "persistentvolumeclaims", "persistentvolumes",
		"resourcequotas", "networkpolicies", "horizontalpodautoscalers", "events",
	} {
		out, err := d.kubectl(ctx, "get", kind, "--all-namespaces", "--output", "wide")
		if err != nil {
			notes = append(notes, fmt.Sprintf("the cluster's %s: %v", kind, err))
			if agent.CodeOf(err) == agent.CodeClusterAway {
				return pieces, append(notes, "so the rest of the cluster was not asked for")
			}
			continue
		}
		pieces = append(pieces, piece{"cluster/" + kind + ".txt", out})
	}
	return pieces, notes
}

// kubectl asks the cluster by the engine's own client, as its administrator.
func (m *machine) kubectl(ctx context.Context, args ...string) ([]byte, error) {
	if !exists(m.paths.K3sKubeconfig()) || !exists(m.settings.K3s.Binary) {
		return nil, agent.Errorf(agent.CodeClusterAway, "bring the appliance up: hks-installer up", "there is no cluster here")
	}
	argv := append([]string{"kubectl", "--kubeconfig", m.paths.K3sKubeconfig(), "--request-timeout", "10s"}, args...)
	out, err := command(ctx, clusterLimit, m.settings.K3s.Binary, argv...)
	if err != nil {
		return nil, &agent.Error{Code: agent.CodeClusterAway, Message: "the cluster does not answer: " + err.Error(), Fix: "see what is wrong with: hks-installer doctor", Cause: err}
	}
	return out, nil
}

// command runs a program and returns what it printed, bounded.
func command(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, time.Second
	if err := cmd.Run(); err != nil {
		words := strings.TrimSpace(errs.String())
		if len(words) > 300 {
			words = words[:300]
		}
		return out.Bytes(), fmt.Errorf("running %s: %w: %s", filepath.Base(name), err, words)
	}
	return out.Bytes(), nil
}

// readTail reads the last bytes of a file, from the begin of a line on.
func readTail(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-most)
	if _, err := f.Seek(from, 0); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(f); err != nil {
		return nil, err
	}
	if from == 0 {
		return data.Bytes(), nil
	}
	_, rest, _ := bytes.Cut(data.Bytes(), []byte("\n"))
	return rest, nil
}

func writeArchive(file string, pieces []piece, at time.Time) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the support bundle: %w", err)
	}
	packed := gzip.NewWriter(f)
	archive := tar.NewWriter(packed)
	top := strings.TrimSuffix(filepath.Base(file), ".tar.gz")
	for _, p := range pieces {
		err = errors.Join(err, archive.WriteHeader(&tar.Header{Name: top + "/" + p.name, Mode: 0o600, Size: int64(len(p.data)), ModTime: at, Typeflag: tar.TypeReg}))
		if err == nil {
			_, err = archive.Write(p.data)
		}
	}
	if err := errors.Join(err, archive.Close(), packed.Close(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the support bundle: %w", errors.Join(err, os.Remove(file)))
	}
	return nil
}
