package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type joinOptions struct {
	url         string
	fingerprint string
	extra       []string
	timeout     time.Duration
}

func joinCommand(cfg Config, root *string) *cobra.Command {
	var o joinOptions
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Make this machine a dedicated node of an appliance elsewhere",
		Long: "Make this machine a dedicated node of an appliance elsewhere. The appliance shows the whole line when\n" +
			"it is asked for an invitation: hks node add NAME. The one-time secret is in the variable HKS_JOIN.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := newMachine(cfg, *root)
			if err != nil {
				return err
			}
			m.joins = true
			return m.join(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "address of the appliance, https://HOST:8443")
	f.StringVar(&o.fingerprint, "fingerprint", "", "SHA256:hex of the appliance's certificate")
	f.StringArrayVar(&o.extra, "extra", nil, "KEY=VALUE of k3s's settings, for the first start; may be repeated")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait until the node is ready")
	return cmd
}

// joining is a join in hand: what is done is told to the appliance too.
type joining struct {
	*machine
	client *client.Client
	plan   agent.JoinPlan
}

// join makes this machine a node. Run again it goes on where it ended.
func (m *machine) join(ctx context.Context, o joinOptions) error {
	secret := m.getenv("HKS_JOIN")
	if o.url == "" || o.fingerprint == "" || secret == "" {
		return usageError{errors.New("join needs --url, --fingerprint and the secret in HKS_JOIN: run the whole line that the appliance shows")}
	}
	extra, err := parseExtra(o.extra)
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{URL: o.url, Fingerprint: o.fingerprint, Token: secret, UserAgent: "hks-installer/" + m.cfg.Version})
	if err != nil {
		return err
	}
	j := &joining{machine: m, client: c}
	if exists(m.paths.AgentKubeconfig()) {
		return agent.Errorf(agent.CodeConflict, "take another machine, or remove it first with: hks-installer purge", "this machine is an appliance itself")
	}
	if err := j.step(ctx, "asks the appliance", func() (string, error) { return "", j.begin(ctx) }); err != nil {
		return err // the appliance refuses before anything is checked or changed
	}
	if err := j.step(ctx, "checks the machine", func() (string, error) { return "", m.checkMachine(ctx) }); err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	folder := m.paths.State("join")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("making a folder for what is fetched: %w", err)
	}
	for _, file := range j.plan.Files {
		if err := j.step(ctx, "fetches "+file.Name, func() (string, error) { return size(file.Size), j.fetch(ctx, folder, file) }); err != nil {
			return err
		}
	}
	if err := j.step(ctx, "places programs and images", func() (string, error) { return "", j.install(ctx, folder, extra) }); err != nil {
		return err
	}
	if err := j.step(ctx, "starts the node", func() (string, error) { return "", j.run(ctx) }); err != nil {
		return err
	}
	m.say("waits until the cluster sees it ready") // then the invitation is used up, and nothing more is told
	if err := j.wait(ctx, o.timeout); err != nil {
		return err
	}
	fmt.Fprintf(m.out, "this machine is the node %s.\n", j.plan.Node)
	return os.RemoveAll(folder)
}

// step does one thing and tells how it went, here and to the appliance. What
// the appliance can't be told now is no reason to stop.
func (j *joining) step(ctx context.Context, name string, do func() (string, error)) error {
	j.say("%s", name)
	known := j.plan.Node != "" // else the appliance has not taken the invitation yet
	tell := func(step agent.NodeStep) {
		if !known && j.plan.Node == "" {
			return
		}
		if err := j.client.ReportJoin(ctx, step); err != nil {
			j.say("  the appliance could not be told: %v", err)
		}
	}
	tell(agent.NodeStep{Name: name, State: agent.StepRunning})
	message, err := do()
	if err == nil {
		tell(agent.NodeStep{Name: name, State: agent.StepDone, Message: message})
		return nil
	}
	failed := agent.NodeStep{Name: name, State: agent.StepFailed, Message: err.Error()}
	if known, ok := errors.AsType[*agent.Error](err); ok {
		failed.Fix = known.Fix
	}
	tell(failed)
	return err
}

// begin uses the invitation.
func (j *joining) begin(ctx context.Context) (err error) {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the host name: %w", err)
	}
	memory, err := totalMemory()
	if err != nil {
		return err
	}
	j.plan, err = j.client.BeginJoin(ctx, agent.JoinRequest{
		Machine: machineID(host), Host: host, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Memory: memory, Clock: time.Now(),
	})
	return err
}

// machineID is what tells this machine from others and stays.
func machineID(host string) string {
	data, err := os.ReadFile("/etc/machine-id")
	if id := strings.TrimSpace(string(data)); err == nil && id != "" {
		return id + "/" + host // a copied disk image has the same id
	}
	return host
}

// fetch gets a file unless it is there already.
func (j *joining) fetch(ctx context.Context, folder string, file agent.JoinFile) error {
	target := filepath.Join(folder, filepath.Base(file.Name))
	if have, err := hashFile(target); err == nil && have == file.SHA256 {
		return nil
	}
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", file.Name, err)
	}
	err = j.client.JoinFile(ctx, file.Name, out)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	have, err := hashFile(target)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file.Name, err)
	}
	if have != file.SHA256 {
		return agent.Errorf(agent.CodeConflict, "run it again", "%s did not arrive whole", file.Name)
	}
	return nil
}

// install makes the journaled changes and writes what the node runs with.
func (j *joining) install(ctx context.Context, folder string, extra map[string]any) error {
	if !versionGrammar.MatchString(j.plan.Version) {
		return fmt.Errorf("the version %q can't name a folder", j.plan.Version)
	}
	if err := j.writeSettings(extra); err != nil {
		return err
	}
	files := &filesStep{paths: j.paths, version: j.plan.Version, sources: map[string]string{}}
	for _, file := range j.plan.Files {
		if !file.Image {
			files.sources[file.Name] = filepath.Join(folder, filepath.Base(file.Name))
			files.order = append(files.order, file.Name)
		}
	}
	if err := j.place(ctx, files); err != nil {
		return err
	}
	for _, file := range j.plan.Files {
		if file.Image {
			if err := placeImage(filepath.Join(folder, filepath.Base(file.Name)), j.paths.K3sData()); err != nil {
				return err
			}
		}
	}
	plan := j.plan
	plan.Files = nil
	data, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("writing down what the node is: %w", err)
	}
	if err := replaceFile(j.paths.NodeFile(), data, 0o600); err != nil {
		return fmt.Errorf("writing down what the node is: %w", err)
	}
	return nil
}

// run starts the agent, which runs the node, and leaves it running.
func (j *joining) run(ctx context.Context) error {
	s, err := j.agentService()
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("starting the node's agent: %w", err)
	}
	return s.Detach(context.WithoutCancel(ctx))
}

// wait waits until the appliance sees the node ready.
func (j *joining) wait(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	last := "it has not answered"
	for {
		node, err := j.client.JoinProgress(ctx)
		switch {
		case err == nil && node.Status == agent.NodeReady:
			return nil
		case err == nil:
			last = node.Message
		case ctx.Err() == nil && agent.CodeOf(err) == agent.CodeUnauthorized:
			return err
		case ctx.Err() == nil:
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return agent.Errorf(agent.CodeClusterAway, "read "+j.paths.Logs("agent.log")+" and "+j.paths.Logs("k3s.log")+" on this machine; the join can be run again",
				"the node is not ready after %s: %s", timeout, last)
		case <-tick.C:
		}
	}
}

func size(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
