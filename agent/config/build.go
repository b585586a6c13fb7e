package config

import (
	"fmt"
	"path/filepath"
)

// The least that builds can do with.
const (
	minCPUs   = 0.1
	minMemory = 64 << 20
	minCache  = 512 << 20
)

func (b Build) validate() error {
	switch {
	case b.CPUs < minCPUs || b.CPUs > 1024:
		return fmt.Errorf("build.cpus: %g is not a number of cores from %g on", b.CPUs, minCPUs)
	case b.Memory < minMemory:
		return fmt.Errorf("build.memory: %d bytes are too few, write at least %dMi", b.Memory, minMemory>>20)
	case b.Cache < minCache:
		return fmt.Errorf("build.cache: %d bytes are too few, write at least %dMi", b.Cache, minCache>>20)
	case b.Parallelism < 1:
		return fmt.Errorf("build.parallelism: %d is not a number of steps", b.Parallelism)
	case b.Network != "host" && b.Network != "none":
		return fmt.Errorf("build.network: %q is none of host, none", b.Network)
	case b.CA != "" && !filepath.IsAbs(b.CA):
		return fmt.Errorf("build.ca: %q is not an absolute path", b.CA)
	case b.Runc != "" && !filepath.IsAbs(b.Runc):
		return fmt.Errorf("build.runc: %q is not an absolute path", b.Runc)
	}
	return nil
}
