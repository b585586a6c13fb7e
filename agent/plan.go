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
