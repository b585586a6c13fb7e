package agent

import "time"

// StorageClass is the class of volumes that hks makes itself.
const StorageClass = "hks"

// VolumeProvisioner is the name under which the class asks for them.
const VolumeProvisioner = "hks.dev/volumes"

// AnnotationKeptUntil on a claim says when it goes, RFC 3339: whoever used it
// was deleted. Empty or absent: it does not.
const AnnotationKeptUntil = "hks.dev/kept-until"

// VolumeStatus is where a volume stands.
type VolumeStatus string

// The states of a volume.
const (
	VolumeMaking    VolumeStatus = "making"
	VolumeReady     VolumeStatus = "ready"
	VolumeGrowing   VolumeStatus = "growing"
	VolumeKept      VolumeStatus = "kept" // nobody's any more; it goes at KeptUntil
	VolumeRestoring VolumeStatus = "restoring"
	VolumeDeleting  VolumeStatus = "deleting"
)

// Volume is a filesystem of its own that pods get.
type Volume struct {
	Name      string       `json:"name"`  // of the claim
	ID        string       `json:"id"`    // of the disk; unlike the name it is never used again
	Class     string       `json:"class"` // hks, or another whose size nobody enforces
	SizeBytes int64        `json:"sizeBytes"`
	AskedSize int64        `json:"askedBytes,omitempty"` // while it grows to that
	UsedBytes int64        `json:"usedBytes"`            // 0 where it is not known
	FreeBytes int64        `json:"freeBytes"`
	FullIn    int64        `json:"fullInSeconds,omitempty"` // by its trend of the last day; 0 where it does not fill steadily
	Status    VolumeStatus `json:"status"`
	Message   string       `json:"message,omitempty"` // what is in the way
	App       string       `json:"app,omitempty"`
	Env       Environment  `json:"environment,omitempty"`
	Component string       `json:"component,omitempty"`
	Service   string       `json:"service,omitempty"`
	KeptUntil time.Time    `json:"keptUntil,omitzero"`
	CreatedAt time.Time    `json:"createdAt"`
}

// ComponentVolume is a volume as a component asks for it.
type ComponentVolume struct {
	Name string `json:"name"`
	Path string `json:"path"` // in the container, absolute
	Size string `json:"size"` // Kubernetes quantity; it may grow, and never shrinks
}

// ClaimName is the name of the claim of a component's volume.
func ClaimName(app string, env Environment, component, volume string) string {
	return ObjectName(app, env) + "-" + component + "-" + volume
}

// VolumeResize asks for a larger volume.
type VolumeResize struct {
	Size string `json:"size"` // Kubernetes quantity
}

// VolumeDelete says how a volume is to go.
type VolumeDelete struct {
	Now bool `json:"now"` // without a grace time
}
