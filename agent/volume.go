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
	VolumeMoving    VolumeStatus = "moving" // one of the two sides of a move; nobody uses it
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
	Node      string       `json:"node,omitempty"` // whose machine it is on
	Move      *VolumeMove  `json:"move,omitempty"` // on its way to another
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

// VolumeMovePhase is how far a volume is on its way to another machine.
type VolumeMovePhase string

// The phases of a move, in their order. Undoing takes the place of whatever
// comes after copying when the move is given up.
const (
	MoveCopying   VolumeMovePhase = "copying"   // while its instance runs
	MoveCopied    VolumeMovePhase = "copied"    // little is left: its instance is to stop
	MoveSwitching VolumeMovePhase = "switching" // nobody uses it: the rest, the checksum, the cut over
	MoveSwitched  VolumeMovePhase = "switched"  // it is there; the source waits until all is known to be well
	MoveUndoing   VolumeMovePhase = "undoing"   // the source is taken again
)

// VolumeMove is a volume on its way to another machine.
type VolumeMove struct {
	From    string          `json:"from"` // name of a node
	To      string          `json:"to"`
	Phase   VolumeMovePhase `json:"phase"`
	Total   int64           `json:"totalBytes"`  // with something in them
	Copied  int64           `json:"copiedBytes"` // sent so far
	Rest    int64           `json:"restBytes"`   // that differed when it was last compared
	Digest  string          `json:"digest,omitempty"`
	Message string          `json:"message,omitempty"`
	BegunAt time.Time       `json:"begunAt"`
}

// Bring tells how far volumes are on their way to where they are wanted.
type Bring struct {
	Done    bool   // all are there
	Stop    bool   // they can be switched as soon as no instance uses them
	Message string // what is in the way
	Total   int64  // bytes with something in them
	Copied  int64  // bytes sent so far
	Rest    int64  // bytes that differed when they were last compared
}

// VolumePlan tells what bringing volumes to a node would take.
type VolumePlan struct {
	Node    string   `json:"node,omitempty"`
	Volumes []string `json:"volumes,omitempty"` // claims that would be copied
	Bytes   int64    `json:"bytes,omitempty"`   // that they use
}
