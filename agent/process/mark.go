package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// markKey is the environment variable that names a child's pid file. It finds
// a child whose supervisor died between starting it and writing the file.
const markKey = "HKS_PROCESS="

// findMarked returns the process that was started for pidFile, if it runs.
func findMarked(pidFile, boot string) (*record, error) {
	all, err := marked(pidFile, boot)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// marked returns all processes that were started for pidFile and run. Only a
// session's leader counts: descendants inherit the mark.
func marked(pidFile, boot string) ([]record, error) {
	entries, err := os.ReadDir(procfs)
	if err != nil {
		return nil, err
	}
	var found []record
	mark := []byte(markKey + pidFile)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		st, err := readStat(pid)
		if err != nil || st.dead() || st.session != pid {
			continue
		}
		if !sameMounts(entry.Name()) {
			continue // another machine in miniature, with the same paths
		}
		environ, err := os.ReadFile(filepath.Join(procfs, entry.Name(), "environ"))
		if err != nil {
			continue // gone, or not ours to read
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(variable, mark) {
				found = append(found, record{PID: pid, Start: st.start, Boot: boot})
				break
			}
		}
	}
	return found, nil
}

// sameMounts tells whether a process sees the same file system as this one.
func sameMounts(pid string) bool {
	theirs, err := os.Readlink(filepath.Join(procfs, pid, "ns/mnt"))
	if err != nil {
		return false
	}
	ours, err := os.Readlink(filepath.Join(procfs, "self/ns/mnt"))
	return err == nil && ours == theirs
}
