package installer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
	"hks.dev/hks/agent/hosts"
)

type upOptions struct {
	from    string
	k3s     string
	extra   []string
	timeout time.Duration
}

// up brings the appliance to where it should be, from wherever it is.
func (m *machine) up(ctx context.Context, o upOptions) error {
	extra, err := parseExtra(o.extra)
	if err != nil {
		return err
	}
	if o.from != "" && exists(filepath.Join(o.from, BundleSums)) {
		if err := VerifyBundle(o.from, m.cfg.BundleKey); err != nil {
			return err
		}
	}
	files, err := m.programs(o)
	if err != nil {
		return err
	}
	if err := m.checkMachine(ctx); err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if half, err := m.unfinished(); err != nil || half != nil {
		return errors.Join(err, m.halfChanged(half))
	}
	if err := m.writeSettings(extra); err != nil {
		return err
	}
	if err := m.place(ctx, files); err != nil {
		return err
	}
	if err := m.placeImages(o); err != nil {
		return err
	}
	if _, err := m.settleAddress(ctx, false); err != nil {
		return err
	}
	s, err := m.agentService()
	if err != nil {
		return err
	}
	if err := m.runAgent(ctx, s, o.timeout); err != nil {
		return err
	}
	if err := m.loadBaseImages(ctx, o.from); err != nil {
		return err
	}
	if err := m.prune(files.version); err != nil {
		return err
	}
	return m.printAccess(ctx)
}

// programs finds what is to be installed.
func (m *machine) programs(o upOptions) (*filesStep, error) {
	version := m.cfg.Version
	if !versionGrammar.MatchString(version) {
		return nil, fmt.Errorf("the version %q can't name a folder", version)
	}
	s := &filesStep{paths: m.paths, version: version, sources: map[string]string{}}
	from := o.from
	if from == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding the programs: %w", err)
		}
		from = filepath.Dir(self)
	}
	for _, name := range programs {
		file := filepath.Join(from, name)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return nil, &agent.Error{
				Code:    agent.CodeNotFound,
				Message: fmt.Sprintf("the program %s is not in %s", name, from),
				Fix:     "build the programs with make build, and name their folder by --from",
			}
		}
		s.sources[name] = file
		s.order = append(s.order, name)
	}
	if m.settings.K3s.Binary != m.paths.Bin("k3s") && o.k3s == "" {
		return s, nil // the owner brings k3s along, k3s.binary says where
	}
	engine := o.k3s
	if engine == "" {
		engine = filepath.Join(from, "k3s")
	}
	if info, err := os.Stat(engine); err != nil || !info.Mode().IsRegular() {
		return nil, &agent.Error{
			Code:    agent.CodeNotFound,
			Message: fmt.Sprintf("there is no k3s binary %s", engine),
			Fix:     "name one by --k3s or HKS_K3S_BINARY, or run make k3s, which fetches the release or builds a stand-in",
		}
	}
	s.sources["k3s"] = engine
	s.order = append(s.order, "k3s")
	s.sealed = o.k3s == "" && exists(filepath.Join(from, BundleSums))
	return s, nil
}

// place makes the journaled changes.
func (m *machine) place(ctx context.Context, files *filesStep) (err error) {
	j, err := OpenJournal(m.journalFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	steps := m.steps(j)
	for i, s := range steps {
		switch s := s.(type) {
		case *filesStep:
			steps[i] = files
		case *linksStep:
			s.version, s.names = files.version, files.order
		}
	}
	made, err := m.applySteps(ctx, j, steps)
	if err != nil {
		return err
	}
	if made > 0 {
		m.say("placed version %s", files.version)
	}
	return nil
}

// steps are all the kinds of changes, in the order in which they are made.
func (m *machine) steps(j *Journal) []step {
	return []step{
		&settingsStep{folder: "/proc/sys", journal: j},
		&foldersStep{root: "/", journal: j},
		&tablesStep{journal: j, nft: runNft},
		&hostsStep{file: hosts.File{Path: m.paths.Hosts()}, journal: j},
		&filesStep{paths: m.paths},
		&linksStep{paths: m.paths},
	}
}

func (m *machine) journalFile() string { return m.paths.State("journal.jsonl") }

// placeImages lays the air-gap images beside the k3s binary where k3s looks
// for them at its start.
func (m *machine) placeImages(o upOptions) error {
	from := o.from
	if o.k3s != "" {
		from = filepath.Dir(o.k3s)
	}
	if from == "" {
		return nil
	}
	archives, err := filepath.Glob(filepath.Join(from, "k3s-airgap-images-*.tar.zst"))
	if err != nil {
		return fmt.Errorf("looking for images: %w", err)
	}
	for _, archive := range archives {
		if err := placeImage(archive, m.paths.K3sData()); err != nil {
			return err
		}
	}
	return nil
}

// placeImage lays one archive of images where k3s looks for them.
func placeImage(archive, k3sData string) error {
	target := filepath.Join(k3sData, "agent/images", filepath.Base(archive))
	want, err := hashFile(archive)
	if err != nil {
		return fmt.Errorf("reading images: %w", err)
	}
	if have, err := hashFile(target); err == nil && have == want {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("placing images: %w", err)
	}
	temp := target + ".partial" // k3s ignores names it does not know
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("placing images: %w", err)
	}
	if err := copyFile(archive, temp, want); err != nil {
		return fmt.Errorf("placing images: %w", errors.Join(err, os.RemoveAll(temp)))
	}
	if err := os.Rename(temp, target); err != nil {
		return fmt.Errorf("placing images: %w", err)
	}
	return nil
}

// prune removes the programs of other versions, once this one runs; that
// which a rollback would go back to stays.
func (m *machine) prune(version string) error {
	last, err := m.readChange()
	if err != nil {
		return err
	}
	before := ""
	if last != nil && last.State == agent.UpgradeDone && last.To == version {
		before = last.From
	}
	entries, err := os.ReadDir(m.paths.Versions())
	if err != nil {
		return fmt.Errorf("looking for earlier versions: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != version && entry.Name() != before {
			if err := os.RemoveAll(filepath.Join(m.paths.Versions(), entry.Name())); err != nil {
				return fmt.Errorf("removing an earlier version: %w", err)
			}
		}
	}
	return nil
}

// printAccess prints how to log in: a one-time link before there is an owner.
func (m *machine) printAccess(ctx context.Context) error {
	c, err := m.client()
	if err != nil {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(m.out, "hks is up.")
	if info.SetUp {
		fmt.Fprintf(m.out, "  open:         %s\n", m.url())
	} else {
		link, err := c.SetupLink(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(m.out, "  log in:       %s   (works once, for %s)\n", link.URL, inWords(time.Until(link.ExpiresAt)))
	}
	fmt.Fprintf(m.out, "  fingerprint:  %s\n", info.Fingerprint)
	return nil
}

func inWords(d time.Duration) string {
	minutes := int(d.Round(time.Minute).Minutes())
	if minutes == 60 {
		return "an hour"
	}
	return fmt.Sprintf("%d minutes", minutes)
}

// url is where the owner finds the appliance, as the agent's own links have it.
func (m *machine) url() string {
	host := m.settings.Domain
	if len(m.settings.API.Hosts) > 0 {
		host = m.settings.API.Hosts[0]
	}
	_, port, err := net.SplitHostPort(m.settings.API.Listen)
	if err != nil {
		port = "8443" // can't be: the settings were checked
	}
	if port == "443" {
		return "https://" + host
	}
	return "https://" + net.JoinHostPort(host, port)
}

func (m *machine) client() (*client.Client, error) {
	return client.New(client.Config{URL: "unix://" + m.paths.AgentSocket(), UserAgent: "hks-installer/" + m.cfg.Version})
}
