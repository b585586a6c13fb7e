package agent

import "time"

// ApplianceBackup is one archive of the whole appliance.
type ApplianceBackup struct {
	ID        int64           `json:"id"`
	File      string          `json:"file"` // its name in the folder of archives
	Bytes     int64           `json:"bytes"`
	SHA256    string          `json:"sha256"`
	Trigger   string          `json:"trigger"` // manual, schedule
	By        string          `json:"by"`
	Contents  ApplianceParts  `json:"contents"`
	Remote    string          `json:"remote,omitempty"`        // where else it is, such as s3://bucket/key
	CopyError string          `json:"remoteFailure,omitempty"` // why it is nowhere else although it should be
	Drill     *ApplianceDrill `json:"drill,omitempty"`         // the last one over it
	CreatedAt time.Time       `json:"createdAt"`
}

// ApplianceParts says what an archive holds, as counted when it was made.
type ApplianceParts struct {
	Version    string         `json:"version"` // of hks
	Machine    string         `json:"machine"` // host name
	Node       string         `json:"node"`    // the machine's name in its cluster
	Address    string         `json:"address"` // of the machine
	Files      int            `json:"files"`
	Bytes      int64          `json:"bytes"`      // unpacked
	Rows       map[string]int `json:"rows"`       // of the agent's database, by table
	Objects    int            `json:"objects"`    // keys of the cluster's datastore
	Images     int            `json:"images"`     // that kept releases need
	Blobs      int            `json:"blobs"`      // of those images
	Volumes    []VolumeCopy   `json:"volumes"`    // copied
	LeftOut    []string       `json:"leftOut"`    // volumes that were not asked for, and what else a restore can't bring back
	DatabaseAt time.Time      `json:"databaseAt"` // when the agent's database was copied
	ClusterAt  time.Time      `json:"clusterAt"`  // when the cluster's was, right after
}

// VolumeCopy is a volume in an archive.
type VolumeCopy struct {
	ID     string        `json:"id"`
	Claim  string        `json:"claim"`
	Bytes  int64         `json:"bytes"`
	Paused time.Duration `json:"paused"` // how long writes to it had to wait, nanoseconds
}

// ApplianceDrill tells what came of restoring an archive into scratch.
type ApplianceDrill struct {
	Backup  int64     `json:"backup"`
	At      time.Time `json:"at"`
	Good    bool      `json:"good"`
	Message string    `json:"message"`
	Checked []string  `json:"checked"` // what was looked at, in words
}

// ApplianceJob is the making of an archive, or a drill over one.
type ApplianceJob struct {
	ID         int64     `json:"id"`
	Kind       string    `json:"kind"` // backup, drill
	Status     RunStatus `json:"status"`
	Steps      []JobStep `json:"steps"`
	Trigger    string    `json:"trigger"` // manual, schedule
	Volumes    bool      `json:"volumes"`
	Backup     int64     `json:"backup,omitempty"`
	Failure    *Failure  `json:"failure,omitempty"`
	By         string    `json:"by"`
	Attempts   int       `json:"attempts"`
	CreatedAt  time.Time `json:"createdAt"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
}

// The kinds of an appliance's jobs, and what sets them off.
const (
	ApplianceBackupJob = "backup"
	ApplianceDrillJob  = "drill"
	TriggerManual      = "manual"
	TriggerSchedule    = "schedule"
)

// ApplianceBackups is how the appliance is kept.
type ApplianceBackups struct {
	Schedule ApplianceSchedule `json:"schedule"`
	Backups  []ApplianceBackup `json:"backups"`           // newest first
	Bytes    int64             `json:"bytes"`             // of all of them
	Folder   string            `json:"folder"`            // on the machine
	Target   string            `json:"target,omitempty"`  // where copies go: ENDPOINT/BUCKET
	Running  *ApplianceJob     `json:"running,omitempty"` // the job that goes on
	Last     *ApplianceJob     `json:"last,omitempty"`    // the newest backup job that ended
	Drill    *ApplianceDrill   `json:"drill,omitempty"`   // the newest
	KeyShown time.Time         `json:"keyShownAt,omitzero"`
}

// ApplianceSchedule is what happens by itself.
type ApplianceSchedule struct {
	Source    string    `json:"source"`    // plan, settings
	EveryMins int       `json:"everyMins"` // 0: never
	Keep      int       `json:"keep"`      // scheduled archives
	Volumes   bool      `json:"volumes"`   // with the volumes
	DrillMins int       `json:"drillMins"` // 0: never
	Next      time.Time `json:"next,omitzero"`
	NextDrill time.Time `json:"nextDrill,omitzero"`
}

// RecoveryKey opens the archives of an appliance.
type RecoveryKey struct {
	Key       string    `json:"key"`       // AGE-SECRET-KEY-1...
	Recipient string    `json:"recipient"` // age1..., its public half
	ShownAt   time.Time `json:"shownAt,omitzero"`
}
