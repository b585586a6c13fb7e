package systemd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
)

// The names of hks's services.
const (
	AgentUnit   = "hks-agent.service"
	GatewayUnit = "hks-gateway.service"
	K3sUnit     = "hks-k3s.service"
	BuilderUnit = "hks-buildkitd.service"
)

// Unit describes a service.
type Unit struct {
	Name        string // such as hks-k3s.service
	Description string
	After       []string
	Command     []string          // argv; the first is an absolute path
	Environment map[string]string // never a secret: anyone can read a unit
	Before      [][]string        // commands before the start whose failure does not matter
	Notify      bool              // Type=notify: ready when it says so; else Type=exec
	Delegate    bool              // it manages cgroups of its own
	KillProcess bool              // a stop ends the main process only, not its containers
	OnDemand    bool              // it does not start with the machine
	StartLimit  time.Duration     // default 2 min
	StopLimit   time.Duration     // default 1 min
	Watchdog    time.Duration
	NoFile      int               // descriptor limit
	Options     map[string]string // further lines of [Service]
}

// K3s returns the engine's unit: as upstream's, but with a finite time to start.
func K3s(name string, command []string, environment map[string]string) Unit {
	return Unit{
		Name:        name,
		Description: "hks: Kubernetes (k3s)",
		After:       []string{"network-online.target"},
		Command:     command,
		Environment: environment,
		Before:      [][]string{{"/sbin/modprobe", "br_netfilter"}, {"/sbin/modprobe", "overlay"}},
		Notify:      true,
		Delegate:    true,
		KillProcess: true,
		StartLimit:  5 * time.Minute,
		NoFile:      1048576,
		Options: map[string]string{
			"LimitNPROC": "infinity",
			"LimitCORE":  "infinity",
			"TasksMax":   "infinity",
		},
	}
}

// Text is the unit file's content. The same unit always has the same text.
func (u Unit) Text() (string, error) {
	if !strings.HasSuffix(u.Name, ".service") || strings.ContainsAny(u.Name, "/ \n") {
		return "", fmt.Errorf("%q is not a name of a service", u.Name)
	}
	if len(u.Command) == 0 || !strings.HasPrefix(u.Command[0], "/") {
		return "", fmt.Errorf("unit %s has no command with an absolute path", u.Name)
	}
	options := []*unit.UnitOption{unit.NewUnitOption("Unit", "Description", u.Description)}
	for _, after := range u.After {
		options = append(options, unit.NewUnitOption("Unit", "After", after), unit.NewUnitOption("Unit", "Wants", after))
	}
	service := func(key, value string) { options = append(options, unit.NewUnitOption("Service", key, value)) }
	service("Type", map[bool]string{true: "notify", false: "exec"}[u.Notify])
	for _, key := range slices.Sorted(maps.Keys(u.Environment)) {
		service("Environment", quote(key+"="+u.Environment[key], false))
	}
	for _, command := range u.Before {
		service("ExecStartPre", "-"+commandLine(command))
	}
	service("ExecStart", commandLine(u.Command))
	service("Restart", "always")
	service("RestartSec", "5s")
	service("TimeoutStartSec", seconds(u.StartLimit, 2*time.Minute))
	service("TimeoutStopSec", seconds(u.StopLimit, time.Minute))
	if u.KillProcess {
		service("KillMode", "process")
	}
	if u.Delegate {
		service("Delegate", "yes")
	}
	if u.Watchdog > 0 {
		service("WatchdogSec", seconds(u.Watchdog, 0))
	}
	if u.NoFile > 0 {
		service("LimitNOFILE", fmt.Sprint(u.NoFile))
	}
	for _, key := range slices.Sorted(maps.Keys(u.Options)) {
		service(key, u.Options[key])
	}
	if !u.OnDemand {
		options = append(options, unit.NewUnitOption("Install", "WantedBy", "multi-user.target"))
	}
	for _, option := range options {
		if strings.ContainsAny(option.Value, "\n\r\x00") {
			return "", fmt.Errorf("unit %s: the value of %s has more than one line", u.Name, option.Name)
		}
	}
	text, err := io.ReadAll(unit.Serialize(options))
	if err != nil {
		return "", fmt.Errorf("writing unit %s: %w", u.Name, err)
	}
	return string(text), nil
}

func seconds(d, otherwise time.Duration) string {
	if d <= 0 {
		d = otherwise
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

func commandLine(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = quote(arg, true)
	}
	return strings.Join(quoted, " ")
}

// quote writes one word of a unit file, systemd.syntax(7): % begins a
// specifier, and in commands $ begins a variable.
func quote(word string, command bool) string {
	replace := []string{`\`, `\\`, `"`, `\"`, "%", "%%"}
	if command {
		replace = append(replace, "$", "$$")
	}
	return `"` + strings.NewReplacer(replace...).Replace(word) + `"`
}
