package agent

import (
	"encoding/json"
	"time"
)

// Service is something of the marketplace that was installed: a database, a
// queue, or whatever a chart of the owner's makes.
type Service struct {
	Name       string        `json:"name"`
	Chart      string        `json:"chart"`
	Title      string        `json:"title"` // of the chart, as people call it
	Version    string        `json:"version"`
	AppVersion string        `json:"appVersion,omitempty"`
	Latest     string        `json:"latest,omitempty"` // version of the chart that an upgrade brings, when another
	Engine     string        `json:"engine,omitempty"` // empty: the platform knows no backups and users of it
	Status     ServiceStatus `json:"status"`
	Reason     string        `json:"reason,omitempty"` // why, in plain words, when not running
	Fix        string        `json:"fix,omitempty"`

	Host   string         `json:"host"` // inside the workspace
	Port   int            `json:"port,omitempty"`
	User   string         `json:"user,omitempty"`
	Values map[string]any `json:"values"` // as they were given

	StorageBytes int64           `json:"storageBytes"` // size of the volume
	Instance     string          `json:"instance,omitempty"`
	Usage        Usage           `json:"usage"`
	Bindings     []Binding       `json:"bindings"`
	Job          *ServiceJob     `json:"job,omitempty"`        // the newest
	LastBackup   *Backup         `json:"lastBackup,omitempty"` // the newest that succeeded
	Verified     *Verification   `json:"verified,omitempty"`   // the newest
	Schedule     *BackupSchedule `json:"schedule,omitempty"`   // nil: the plan has none

	CreatedAt time.Time `json:"createdAt"`
	KeptUntil time.Time `json:"keptUntil,omitzero"` // of one that is removed: when its volume goes
}

// ServiceStatus is what was observed of a service.
type ServiceStatus string

// A service's statuses.
const (
	ServiceInstalling ServiceStatus = "installing"
	ServiceRunning    ServiceStatus = "running" // its instance is ready
	ServiceUpdating   ServiceStatus = "updating"
	ServiceError      ServiceStatus = "error" // Reason says why
	ServiceDeleting   ServiceStatus = "deleting"
	ServiceRemoved    ServiceStatus = "removed" // only its volume and backups are there, until KeptUntil
)

// Binding connects a service to an app: its credentials are in the app's
// environment.
type Binding struct {
	Service     string      `json:"service"`
	App         string      `json:"app"`
	Environment Environment `json:"environment"`
	Prefix      string      `json:"prefix,omitempty"` // before each name
	Names       []string    `json:"names"`            // of the variables
	Release     int         `json:"release"`          // that brought it
	CreatedAt   time.Time   `json:"createdAt"`
}

// OfFunction stands in the place of the environment in a binding of a function:
// a function has one only.
const OfFunction Environment = "function"

// ParseBound checks what a binding may have as its environment.
func ParseBound(s string) (Environment, error) {
	if Environment(s) == OfFunction {
		return OfFunction, nil
	}
	return ParseEnvironment(s)
}

// Bind asks for a binding.
type Bind struct {
	App         string      `json:"app"`
	Environment Environment `json:"environment"`
	Prefix      string      `json:"prefix,omitempty"`
}

// ServiceJob is one long work on a service.
type ServiceJob struct {
	ID         int64     `json:"id"`
	Service    string    `json:"service"`
	Kind       string    `json:"kind"` // install, upgrade, uninstall, rotate, backup, restore, verify
	Status     RunStatus `json:"status"`
	Steps      []JobStep `json:"steps"`
	Backup     int64     `json:"backup,omitempty"` // that it makes or reads
	Failure    *Failure  `json:"failure,omitempty"`
	By         string    `json:"by"`
	CreatedAt  time.Time `json:"createdAt"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}

// JobStep is one line of what a job did.
type JobStep struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// ServiceRequest asks for a service.
type ServiceRequest struct {
	Name   string         `json:"name"`
	Chart  string         `json:"chart"` // name in the catalogue, or oci://HOST/PATH:VERSION
	Values map[string]any `json:"values,omitempty"`
}

// ServiceUpgrade asks for other values or the newest version of the chart.
type ServiceUpgrade struct {
	Values map[string]any `json:"values,omitempty"` // laid over those of now
	Latest bool           `json:"latest,omitempty"` // take the catalogue's version of the chart
}

// CatalogueEntry is something that can be installed.
type CatalogueEntry struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     string          `json:"version"`
	AppVersion  string          `json:"appVersion,omitempty"`
	Own         bool            `json:"own,omitempty"` // the owner's chart
	Engine      string          `json:"engine,omitempty"`
	Env         []string        `json:"env,omitempty"`    // names that a bound app gets
	Schema      json.RawMessage `json:"schema,omitempty"` // of the values that the owner may set; only when one entry is asked for
	Values      map[string]any  `json:"values,omitempty"` // by default; only when one entry is asked for
}

// Credentials are how a client logs in to a service. They are answered only
// where they were asked for, and each time is recorded.
type Credentials struct {
	Env    map[string]string `json:"env"`              // as a bound app gets it
	URL    string            `json:"url,omitempty"`    // the variable that ends in _URL
	Client []string          `json:"client,omitempty"` // command line of a client; {url} {host} {port} {user} {database} stand for where it connects to
}

// Backup is a copy of what is in a service.
type Backup struct {
	ID         int64         `json:"id"`
	Service    string        `json:"service"`
	Engine     string        `json:"engine"`
	AppVersion string        `json:"appVersion"`
	Trigger    string        `json:"trigger"` // manual, scheduled
	By         string        `json:"by"`
	Bytes      int64         `json:"bytes"`
	SHA256     string        `json:"sha256"`
	Tables     []BackupTable `json:"tables"`
	Remote     string        `json:"remote,omitempty"` // where else it is, such as s3://bucket/key
	Verified   *Verification `json:"verified,omitempty"`
	CreatedAt  time.Time     `json:"createdAt"`
}

// BackupTable is what was in a table when the backup was made.
type BackupTable struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum,omitempty"` // of all rows; empty: the engine has none
}

// Verification tells what came of restoring a backup into a scratch instance.
type Verification struct {
	Backup  int64     `json:"backup"`
	At      time.Time `json:"at"`
	Good    bool      `json:"good"`
	Message string    `json:"message"`
}

// BackupSchedule is what the plan does by itself.
type BackupSchedule struct {
	EveryHours int       `json:"everyHours"`
	Keep       int       `json:"keep"` // scheduled backups
	Next       time.Time `json:"next"`
}

// BackupTarget is an S3-compatible store that gets a copy of each backup.
type BackupTarget struct {
	Endpoint  string `json:"endpoint"` // https://HOST[:PORT]
	Bucket    string `json:"bucket"`
	Region    string `json:"region,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"` // HiddenValue in answers, and to keep it
}
