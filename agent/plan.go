package agent

// Plan is what the owner may use. Limits are data (agent/plan/plans.yaml);
// a limit of 0 means none of it, Unlimited means no limit.
type Plan struct {
	Name           string `json:"name"`
	Workspaces     int    `json:"workspaces"`
	Functions      int    `json:"functions"`
	CronJobs       int    `json:"cronJobs"`
	StorageBytes   int64  `json:"storageBytes"`
	DedicatedNodes int    `json:"dedicatedNodes"`
	BackupDays     int    `json:"backupDays"` // daily backups kept; 0: none scheduled
	Pods           int    `json:"pods"`
	// The workspace's share of the shared pool, in percent of what the node
	// can allocate; the rest is kept for the platform.
	CPUPercent    int `json:"cpuPercent"`
	MemoryPercent int `json:"memoryPercent"`
}

// Unlimited as a limit means no limit.
const Unlimited = -1

// PlanState is the plan in force, what is used of it, and the others.
type PlanState struct {
	Plan     Plan        `json:"plan"`
	Applying bool        `json:"applying,omitempty"` // the cluster does not hold its limits yet
	Reason   string      `json:"reason,omitempty"`   // what that waits for
	Usage    []PlanUsage `json:"usage"`
	Plans    []Plan      `json:"plans"`
}

// PlanUsage is what is used of one limit.
type PlanUsage struct {
	Name  string `json:"name"` // functions, cron jobs, storage, dedicated nodes
	Unit  string `json:"unit"` // count, bytes
	Used  int64  `json:"used"`
	Limit int64  `json:"limit"` // Unlimited: there is none
}
