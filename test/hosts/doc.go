// Package hosts makes hosts for tests: machines of their own with systemd as
// PID 1, in containers of systemd-nspawn on one bridge. They boot in seconds,
// can be rebooted and lose their power, and leave nothing behind.
//
// A host never gets the right to change the clock, which is the machine's.
package hosts
