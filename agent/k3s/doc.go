// Package k3s runs the engine: the released k3s binary as a process of its
// own. It writes k3s's settings, has it started by a supervisor, waits until
// the cluster is of use and says what for, watches its health, makes join
// tokens, and cleans a machine of what k3s leaves behind.
package k3s
