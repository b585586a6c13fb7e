package agent

import "time"

// WorkspaceStatus is where a workspace is in its life.
type WorkspaceStatus string

// A workspace's statuses. It is ready only when every object was seen in the cluster.
const (
	WorkspaceCreating WorkspaceStatus = "creating"
	WorkspaceReady    WorkspaceStatus = "ready"
	WorkspaceRenaming WorkspaceStatus = "renaming"
	WorkspaceFailed   WorkspaceStatus = "failed"
)

// Workspace is the owner's private, isolated namespace.
type Workspace struct {
	Name      string          `json:"name"`
	Status    WorkspaceStatus `json:"status"`
	Step      string          `json:"step,omitempty"`   // what is being done, while not ready
	Reason    string          `json:"reason,omitempty"` // why it failed, in plain words
	Fix       string          `json:"fix,omitempty"`    // the next command
	Plan      Plan            `json:"plan"`
	PodLevel  string          `json:"podSecurity"` // Pod Security level enforced: restricted or baseline
	Resources []Resource      `json:"resources"`
	CreatedAt time.Time       `json:"createdAt"`
}

// Resource is one line of the workspace's quota: used and limit in the unit
// named (cores, bytes or a count).
type Resource struct {
	Name  string  `json:"name"` // cpu, memory, storage, pods
	Unit  string  `json:"unit"` // cores, bytes, count
	Used  float64 `json:"used"`
	Limit float64 `json:"limit"`
}
