package archive

import (
	"io/fs"
	"path"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// Format is the version of what this package writes.
const Format = 1

const manifestName = "manifest.json"

// Folders of an archive.
const (
	Root    = "root/"    // files below the appliance's root
	Machine = "machine/" // files of the machine, whatever the root
)

// Names of parts that someone looks for.
const (
	Database     = Root + "var/lib/hks/hks.db"
	Datastore    = Root + "var/lib/rancher/k3s/server/db/state.db"
	ServerToken  = Root + "var/lib/rancher/k3s/server/token"
	SealingKey   = Root + "var/lib/hks/secret.key"
	Settings     = Root + "etc/hks/config.yaml"
	RegistryData = Root + "var/lib/hks/registry/data/"
	VolumesDir   = Root + "var/lib/hks/volumes/"
	NodePassword = Machine + "etc/rancher/node/password"
)

// Part is one file.
type Part struct {
	Name   string      `json:"name"`
	Bytes  int64       `json:"bytes"`
	SHA256 string      `json:"sha256"`
	Mode   fs.FileMode `json:"mode"`
}

// Manifest says what is in an archive.
type Manifest struct {
	Format   int                  `json:"format"`
	MadeAt   time.Time            `json:"madeAt"`
	Contents agent.ApplianceParts `json:"contents"`
	Parts    []Part               `json:"parts"`
}

// valid tells whether a name leads below one of the two folders and nowhere
// else.
func valid(name string) bool {
	inside := strings.HasPrefix(name, Root) || strings.HasPrefix(name, Machine)
	return inside && path.Clean(name) == name && !strings.ContainsRune(name, 0)
}
