// Package process runs a long-lived child where there is no systemd to do it.
//
// The child is in a session of its own and writes to a log file, so it
// outlives its supervisor. A record on disk (process id, start time, boot id)
// lets a restarted supervisor adopt the same process, never a stranger that
// got the same number.
package process
