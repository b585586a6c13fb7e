// Package systemd talks to systemd where it is PID 1: it tells it how this
// process fares (sd_notify, watchdog), and runs units over D-Bus.
package systemd

import "github.com/coreos/go-systemd/v22/util"

// Running tells whether PID 1 is systemd (sd_booted(3)).
func Running() bool { return util.IsRunningSystemd() }
