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
	// Listen are addresses, as of net.Listen, whose sockets systemd opens and
	// holds for it: ADDRESS:PORT and paths. A restart refuses no connection.
	Listen []string
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

// refusedCalls are groups of system calls that neither agent nor gateway has a
// use for, systemd.exec(5).
const refusedCalls = "~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap"

// Agent returns the agent's unit. It has no mount namespace of its own, and so
// no read-only system: volumes that it mounts must be seen by the kubelet.
func Agent(command []string, environment map[string]string) Unit {
	return Unit{
		Name: AgentUnit, Description: "hks: agent", After: []string{"network-online.target"},
		Command: command, Environment: environment, Notify: true, Watchdog: 30 * time.Second,
		Options: map[string]string{
			"LockPersonality":         "yes",
			"NoNewPrivileges":         "yes",
			"RestrictRealtime":        "yes",
			"RestrictSUIDSGID":        "yes",
			"SystemCallArchitectures": "native",
			"SystemCallErrorNumber":   "EPERM",
			"SystemCallFilter":        refusedCalls,
			"UMask":                   "0022",
		},
	}
}

// Gateway returns the gateway's unit, which sees the system read-only and has
// no right of root's but to open low ports. Where its files are not in their
// usual places it may write elsewhere too.
func Gateway(command []string, environment map[string]string, usual bool) Unit {
	u := Unit{
		Name: GatewayUnit, Description: "hks: gateway", After: []string{"network-online.target"},
		Command: command, Environment: environment, Notify: true, NoFile: 1048576,
		Options: map[string]string{
			"AmbientCapabilities":     "CAP_NET_BIND_SERVICE",
			"CapabilityBoundingSet":   "CAP_NET_BIND_SERVICE",
			"LockPersonality":         "yes",
			"NoNewPrivileges":         "yes",
			"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
			"RestrictNamespaces":      "yes",
			"RestrictRealtime":        "yes",
			"RestrictSUIDSGID":        "yes",
			"SystemCallArchitectures": "native",
			"SystemCallErrorNumber":   "EPERM",
			"SystemCallFilter":        refusedCalls + " @mount @privileged @resources",
		},
	}
	if usual {
		for key, value := range map[string]string{
			"LogsDirectory": "hks", "RuntimeDirectory": "hks", "RuntimeDirectoryPreserve": "yes", "StateDirectory": "hks/gateway", "StateDirectoryMode": "0700",
			"PrivateDevices": "yes", "PrivateTmp": "yes", "ProtectControlGroups": "yes", "ProtectHome": "yes",
			"ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectSystem": "strict",
		} {
			u.Options[key] = value
		}
	}
	return u
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
	if len(u.Listen) > 0 {
		options = append(options, unit.NewUnitOption("Unit", "After", SocketOf(u.Name)), unit.NewUnitOption("Unit", "Requires", SocketOf(u.Name)))
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
