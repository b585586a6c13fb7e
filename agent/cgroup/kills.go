package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Kills counts processes of pods that the kernel ended because their group's
// memory was used up. Kubernetes tells of a container's first process only.
// It is safe for concurrent use.
type Kills struct {
	root string

	mu   sync.Mutex        // guards what follows
	pods map[string]string // groups by the pods' uid
}

// NewKills reads the groups that are mounted at root, or this machine's where
// root is empty; an error means that none can be read.
func NewKills(root string) (*Kills, error) {
	if root == "" {
		all, err := hierarchies()
		if err != nil {
			return nil, err
		}
		h, err := primary(all)
		if err != nil {
			return nil, err
		}
		root = h.point
	}
	return &Kills{root: root, pods: map[string]string{}}, nil
}

// Of returns how many processes were ended in the containers that each pod has
// now. Pods that do not run on this machine are left out.
func (k *Kills) Of(uids []string) (map[string]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.find(uids); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, uid := range uids {
		if group := k.pods[uid]; group != "" {
			counts[uid] = killsIn(group)
		}
	}
	return counts, nil
}

// find looks for the groups of pods; one look is for all that are not known.
func (k *Kills) find(uids []string) error {
	known, missing := map[string]string{}, map[string]string{}
	for _, uid := range uids {
		group, ok := k.pods[uid]
		if _, err := os.Stat(group); ok && err == nil {
			known[uid] = group
		} else {
			// The kubelet's two drivers name them pod1-2-3 and kubepods-besteffort-pod1_2_3.slice.
			missing["pod"+uid] = uid
			missing["pod"+strings.ReplaceAll(uid, "-", "_")+".slice"] = uid
		}
	}
	k.pods = known
	if len(missing) == 0 {
		return nil
	}
	err := filepath.WalkDir(k.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went meanwhile
			return fs.SkipDir
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		}
		name := entry.Name()
		at := strings.LastIndex(name, "pod")
		if at < 0 {
			return nil
		}
		if uid, ok := missing[name[at:]]; ok {
			k.pods[uid] = path
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for the groups of pods in %s: %w", k.root, err)
	}
	return nil
}

// killsIn adds up what the kernel counts in the groups of a pod's containers,
// cgroup v2's memory.events.local or version 1's memory.oom_control. What has
// gone meanwhile counts nothing.
func killsIn(pod string) (sum int64) {
	groups, err := os.ReadDir(pod)
	if err != nil {
		return 0
	}
	for _, group := range groups {
		if !group.IsDir() {
			continue
		}
		for _, file := range []string{"memory.events.local", "memory.oom_control"} {
			text, err := os.ReadFile(filepath.Join(pod, group.Name(), file))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(text)) {
				if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "oom_kill" {
					n, _ := strconv.ParseInt(fields[1], 10, 64)
					sum += n
				}
			}
		}
	}
	return sum
}
