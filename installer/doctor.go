package installer

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// Broken is the level of what doctor finds and the appliance can't do with.
const Broken Level = "broken"

// doctor looks for what is broken. What it asks of the world outside of the
// appliance's own files is in fields, for tests.
type doctor struct {
	*machine
	settingsErr error // config.yaml is not valid; defaults are in use

	now       func() time.Time
	addresses func() ([]net.Addr, error)
	lookup    func(ctx context.Context) error // asks a name server anything
	system    func(ctx context.Context) (agent.System, error)
	running   func(ctx context.Context) (map[string]bool, error) // by name: agent, gateway, k3s
	free      func(path string) (free, total int64, err error)   // bytes of a file system
	port      func(p port, own []int) (Finding, error)

	mend []mending // of what look found
}

// mending is a mend that is safe: it loses nothing and ends nothing.
type mending struct {
	what string
	do   func(ctx context.Context) error
}

// newDoctor makes one that looks at the real machine. A settings file that is
// not valid is a finding of its own and no reason to see nothing else.
func newDoctor(cfg Config, root string) (*doctor, error) {
	_, settingsErr := newMachine(cfg, root)
	m, err := newMachineToClean(cfg, root)
	if err != nil {
		return nil, err
	}
	m.joins = exists(m.paths.NodeFile())
	d := &doctor{
		machine: m, settingsErr: settingsErr,
		now: time.Now, addresses: net.InterfaceAddrs, lookup: askNameServer, free: freeSpaceOf, port: m.probePort,
	}
	d.system = d.askAgent
	d.running = d.runningServices
	return d, nil
}

func (d *doctor) askAgent(ctx context.Context) (agent.System, error) {
	c, err := client.New(client.Config{URL: "unix://" + d.paths.AgentSocket(), UserAgent: "hks-installer/" + d.cfg.Version})
	if err != nil {
		return agent.System{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.System(ctx)
}

func (d *doctor) runningServices(ctx context.Context) (map[string]bool, error) {
	all, err := d.services()
	if err != nil {
		return nil, err
	}
	running := map[string]bool{}
	for _, s := range all {
		state, err := s.State(ctx)
		if err != nil {
			return nil, err
		}
		running[s.name] = state.Running
	}
	return running, nil
}

// look runs all checks. One that can't be made is a warning.
func (d *doctor) look(ctx context.Context) []Finding {
	checks := []struct {
		name string
		run  func(context.Context) []Finding
	}{
		{"settings", d.checkSettings},
		{"journal", d.checkJournal},
		{"version", d.checkChange},
		{"programs", d.checkPrograms},
		{"parts", d.checkParts},
		{"ports", d.checkPorts},
		{"secrets", d.checkSecrets},
		{"databases", d.checkDatabases},
		{"certificates", d.checkCertificates},
		{"disk", d.checkDisks},
		{"volumes", d.checkVolumes},
		{"address", d.checkAddress},
		{"names", d.checkNames},
	}
	var findings []Finding
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		found := c.run(ctx)
		cancel()
		for _, f := range found {
			if f.Check == "" {
				f.Check = c.name
			}
			findings = append(findings, f)
		}
	}
	return findings
}

// unknown is the finding of a check that could not be made.
func unknown(err error) []Finding {
	return []Finding{{Level: Warning, Message: "could not be checked: " + err.Error()}}
}

func broken(fix, format string, args ...any) Finding {
	return Finding{Level: Broken, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func fine(format string, args ...any) []Finding {
	return []Finding{{Level: OK, Message: fmt.Sprintf(format, args...)}}
}

// examine looks, mends what is safe when that is asked for, looks again, and
// prints. It is an error when anything is broken.
func (d *doctor) examine(ctx context.Context, fix, asJSON bool) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	findings := d.look(ctx)
	if fix && len(d.mend) > 0 {
		unlock, err := d.lock()
		if err != nil {
			return err
		}
		for _, m := range d.mend {
			d.say("mending: %s", m.what)
			if err := m.do(ctx); err != nil {
				d.say("  failed: %v", err)
			}
		}
		unlock()
		d.mend = nil
		findings = d.look(ctx)
	}
	if asJSON {
		if err := d.printJSON(findings); err != nil {
			return err
		}
	} else {
		printFindings(d.out, findings)
	}
	return brokenError(findings, len(d.mend))
}

// brokenError makes one error of what is broken.
func brokenError(findings []Finding, mendable int) error {
	count := 0
	for _, f := range findings {
		if f.Level == Broken {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	fix := "do what is said above, from the top; one thing often mends others"
	if mendable > 0 {
		fix += "; hks-installer doctor --fix does what is safe"
	}
	things := "things are"
	if count == 1 {
		things = "thing is"
	}
	return &agent.Error{Code: agent.CodeConflict, Message: fmt.Sprintf("%d %s broken", count, things), Fix: fix}
}
