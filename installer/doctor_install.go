package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// checkSettings wants a config.yaml without mistakes.
func (d *doctor) checkSettings(context.Context) []Finding {
	if d.settingsErr == nil {
		return fine("%s is valid", d.paths.ConfigFile())
	}
	fix := "correct that line"
	if known, ok := errors.AsType[*agent.Error](d.settingsErr); ok && known.Fix != "" {
		fix = known.Fix
	}
	return []Finding{broken(fix, "%v", d.settingsErr)}
}

// checkJournal wants a journal that can be read: a removal needs it.
func (d *doctor) checkJournal(context.Context) []Finding {
	if !exists(d.journalFile()) {
		return []Finding{{Level: Warning, Message: "there is no journal of changes: hks is not installed here, or was installed by another way", Fix: "install it with: hks-installer up --from FOLDER"}}
	}
	j, err := readJournal(d.journalFile())
	if err != nil {
		return []Finding{broken("put the file back from a backup of the appliance; without it a removal forgets changes", "%v", err)}
	}
	return fine("%d changes of the machine are known", len(j.pending))
}

// checkChange wants no change of version that was cut off.
func (d *doctor) checkChange(context.Context) []Finding {
	c, err := d.readChange()
	switch {
	case err != nil:
		return []Finding{broken("remove the file when no upgrade is under way: "+d.paths.UpgradeFile(), "%v", err)}
	case c == nil:
		return fine("no change of version was made")
	case c.State == agent.UpgradeRunning:
		fix := "run it again, it goes on from there: hks-installer upgrade --from FOLDER; or go back with: hks-installer rollback"
		return []Finding{broken(fix, "the %s from %s to %s was cut off while it was to %s, or is under way", c.Kind, c.From, c.To, c.Step)}
	case c.State == agent.UpgradeStuck:
		return []Finding{broken("mend what it says, then: hks-installer rollback", "the %s from %s to %s failed, and the way back too: %s", c.Kind, c.From, c.To, c.Reason)}
	case c.State == agent.UpgradeReturned:
		return []Finding{{Level: Warning, Message: fmt.Sprintf("the last %s, to %s, failed: %s; %s serves", c.Kind, c.To, c.Reason, c.From), Fix: "mend what it says, or wait for another version"}}
	}
	return fine("the last %s, from %s to %s, went well", c.Kind, c.From, c.To)
}

// checkPrograms wants the commands to lead to the programs of one version, as
// they were placed.
func (d *doctor) checkPrograms(context.Context) []Finding {
	const fix = "place the programs again: hks-installer up --from FOLDER, with the bundle of this version"
	version, names, err := d.installedVersion()
	if err != nil {
		return []Finding{broken("install it with: hks-installer up --from FOLDER", "%v", err)}
	}
	var findings []Finding
	for _, name := range programs {
		link := d.paths.Bin(name)
		target, err := os.Readlink(link)
		switch {
		case err != nil:
			findings = append(findings, broken(fix, "%s is missing or is no link of hks", link))
		case filepath.Dir(target) != filepath.Join(d.paths.Versions(), version):
			findings = append(findings, broken(fix, "%s leads to %s, and hks-agent is of version %s", link, target, version))
		case !exists(target):
			findings = append(findings, broken(fix, "the program %s is gone", target))
		}
	}
	known, err := d.placedPrograms()
	if err != nil {
		return append(findings, unknown(err)...)
	}
	for _, name := range names {
		file := filepath.Join(d.paths.Versions(), version, name)
		want, ok := known[file]
		if !ok {
			continue
		}
		have, err := hashFile(file)
		switch {
		case err != nil:
			findings = append(findings, broken(fix, "the program %s can't be read: %v", file, err))
		case have != want:
			findings = append(findings, broken(fix, "the program %s is damaged: it is not what was installed", file))
		}
	}
	if len(findings) == 0 {
		return fine("version %s, %d programs as they were installed", version, len(names))
	}
	return findings
}

// placedPrograms are the checksums that programs had when they were placed.
func (d *doctor) placedPrograms() (map[string]string, error) {
	j, err := readJournal(d.journalFile())
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, e := range j.pending {
		if e.Change.Kind == (&filesStep{}).kind() {
			known[e.Change.Target] = e.Change.After
		}
	}
	return known, nil
}

// secretFiles are what nobody but root may read. Folders count as a whole.
func (m *machine) secretFiles() []string {
	server := filepath.Join(m.paths.K3sData(), "server")
	return []string{
		m.paths.State("secret.key"), m.paths.State("hks.db"), m.paths.State("series.db"), m.paths.State("api"), m.paths.State("registry/tls/server.key"),
		m.paths.AgentKubeconfig(), m.paths.GatewayKubeconfig(), m.paths.GatewayState(), m.snapshots(), m.paths.K3sKubeconfig(),
		filepath.Join(server, "token"), filepath.Join(server, "cred"), filepath.Join(server, "db"), m.paths.ConfigFile(),
	}
}

// checkSecrets wants secrets to be root's alone. A folder that only root may
// enter protects what is in it.
func (d *doctor) checkSecrets(context.Context) []Finding {
	var findings []Finding
	for _, file := range d.secretFiles() {
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Mode()&fs.ModeSymlink != 0) {
			continue
		}
		if err != nil {
			findings = append(findings, unknown(err)...)
			continue
		}
		mode := info.Mode().Perm()
		if mode&0o077 == 0 {
			continue
		}
		want := mode &^ 0o077
		findings = append(findings, broken(fmt.Sprintf("chmod %o %s", want, file), "%s holds secrets, and others than root may use it (mode %o)", file, mode))
		d.mend = append(d.mend, mending{fmt.Sprintf("%s becomes root's alone", file), func(context.Context) error { return os.Chmod(file, want) }})
	}
	if len(findings) == 0 {
		return fine("only root may read them")
	}
	return findings
}

// checkParts wants the agent, and all that it looks after, to be healthy.
func (d *doctor) checkParts(ctx context.Context) []Finding {
	running, err := d.running(ctx)
	if err != nil {
		return unknown(err)
	}
	if exists(d.paths.NodeFile()) {
		return d.nodeParts(running)
	}
	var findings []Finding
	system, err := d.system(ctx)
	if err != nil {
		findings = append(findings, d.agentDown(running, err))
		for _, name := range slices.Sorted(maps.Keys(running)) {
			if !running[name] && (name == "k3s" || name == "the gateway") {
				findings = append(findings, broken("the agent starts it; begin with that", "%s does not run", name))
			}
		}
		return findings
	}
	for _, part := range system.Parts {
		if part.Healthy {
			continue
		}
		message := part.Message
		if message == "" {
			message = "it does not say why"
		}
		f := broken("the agent tries again by itself; when it stays so, read "+d.logPlace(), "%s is not healthy: %s", part.Name, message)
		f.Check = part.Name
		findings = append(findings, f)
	}
	if len(findings) == 0 {
		return fine("all %d are healthy", len(system.Parts))
	}
	return findings
}

// nodeParts are those of a machine that is a node of an appliance elsewhere; it
// has no API that could be asked.
func (d *doctor) nodeParts(running map[string]bool) []Finding {
	switch {
	case !running["the agent"]:
		return []Finding{broken("run the line that the appliance shows for this node again (hks node show), or restart the machine", "the node's agent does not run")}
	case !running["k3s"]:
		return []Finding{broken("the agent tries again by itself; when it stays so, read "+d.logPlace(), "k3s does not run")}
	}
	return fine("agent and k3s of this node run; hks node list on the appliance says whether it is ready")
}

func (d *doctor) agentDown(running map[string]bool, err error) Finding {
	if running["the agent"] {
		f := broken("read "+d.logPlace()+"; hks-installer up restarts it when that is needed", "the agent runs and does not answer: %v", err)
		f.Check = "agent"
		return f
	}
	d.mend = append(d.mend, mending{"the agent is started", d.startAgent})
	fix := "start it with: hks-installer doctor --fix (apps go on meanwhile); its last words are in " + d.logPlace()
	if c, err := d.readChange(); err == nil && c != nil && c.State == agent.UpgradeRunning {
		d.mend = d.mend[:len(d.mend)-1] // whoever goes on with the change starts it
		fix = "go on with the change of version that was cut off: hks-installer upgrade --from FOLDER, or hks-installer rollback"
	}
	f := broken(fix, "the agent does not run")
	f.Check = "agent"
	return f
}

// startAgent starts the agent and waits until it answers.
func (d *doctor) startAgent(ctx context.Context) error {
	if d.settingsErr != nil {
		return d.settingsErr
	}
	s, err := d.agentService()
	if err != nil {
		return err
	}
	return d.runAgent(ctx, s, startLimit)
}

// checkPorts wants the appliance's ports to be its own.
func (d *doctor) checkPorts(ctx context.Context) []Finding {
	own, err := d.ownPIDs(ctx)
	if err != nil {
		return unknown(err)
	}
	var findings []Finding
	var free []string
	for _, p := range d.ports() {
		f, err := d.port(p, own)
		switch {
		case err != nil:
			findings = append(findings, unknown(err)...)
		case f.Level == Block:
			f.Level, f.Check = Broken, fmt.Sprintf("port %d", p.number)
			findings = append(findings, f)
		case !strings.HasPrefix(f.Message, "held"):
			free = append(free, fmt.Sprint(p.number))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	if len(free) > 0 {
		return fine("nobody else has one; nobody listens on %s now", strings.Join(free, ", "))
	}
	return fine("all are held by hks")
}
