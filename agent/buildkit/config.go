package buildkit

import (
	"context"
	"log/slog"
	"time"

	"hks.dev/hks/agent"
)

// Runner supervises the process: agent/process or agent/systemd.
type Runner interface {
	// Start starts the process, or goes on with one that runs already. It
	// returns once the process runs, not when it is of use.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Detach(ctx context.Context) error
	State(ctx context.Context) (agent.ProcessState, error)
	Tail(ctx context.Context, lines int) []string
}

// Place is the control groups of the daemon and of the steps it runs:
// agent/cgroup.
type Place interface {
	// Parent is the control group below which steps get theirs; "" for none.
	Parent() string
	// Clear ends steps and takes mounts away that a daemon left.
	Clear() error
	// Admit puts the daemon into its group; doing it again is fine.
	Admit(pid int) error
	// Unlimited tells why there are no groups; nil when there are.
	Unlimited() error
}

// Registry is how the appliance's own registry is reached from this machine.
type Registry struct {
	Address            string // host:port, TLS
	CAFile             string // of the authority that signed its certificate
	Username, Password string
}

// Config says where things are and what builds may take.
type Config struct {
	Binary       string // the BuildKit daemon's program
	Dir          string // its state: cache and work folders
	Socket       string // it listens there
	SettingsFile string // its settings, written here
	RevisionFile string // what it was started with last
	CA           string // PEM bundle of a network that signs TLS anew; "" for none
	Runc         string // the program that runs steps; "" finds one
	K3sRunc      string // k3s's own, taken where none is on the path

	Parallelism int             // steps at a time
	Cache       int64           // bytes on the disk
	Place       Place           // of the daemon and its steps
	Registry    func() Registry // asked at each start and each build
	Environ     []string        // this process's environment, of which the daemon gets what it needs

	Runner       Runner
	LogPlace     string        // where people find the daemon's output
	StartTimeout time.Duration // until it answers; default 30 s
	IdleTimeout  time.Duration // it is stopped after this time without a build; default 10 min
	OnChange     func()        // called when it starts or stops; must not block
	Logger       *slog.Logger  // default: none
}
