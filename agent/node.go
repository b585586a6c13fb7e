package agent

import "time"

// NodeStatus is where a node is in its life.
type NodeStatus string

// The statuses of a node.
const (
	NodeProvisioning NodeStatus = "provisioning" // invited, or joining
	NodeReady        NodeStatus = "ready"
	NodeDraining     NodeStatus = "draining" // its workloads go elsewhere, and none come
	NodeRemoving     NodeStatus = "removing"
	NodeFailed       NodeStatus = "failed" // the join failed, or the node is not heard of
)

// Node is a machine of the cluster.
type Node struct {
	Name      string     `json:"name"`
	Pool      string     `json:"pool"` // shared or dedicated
	Status    NodeStatus `json:"status"`
	Message   string     `json:"message,omitempty"` // what it waits for, or what is wrong
	Fix       string     `json:"fix,omitempty"`
	Cordoned  bool       `json:"cordoned,omitempty"` // nothing new is placed on it
	Own       bool       `json:"own,omitempty"`      // the appliance's own machine
	Address   string     `json:"address,omitempty"`
	Version   string     `json:"version,omitempty"` // of its kubelet
	Skewed    bool       `json:"skewed,omitempty"`  // its version differs from the appliance's
	LastHeard time.Time  `json:"lastHeard,omitzero"`
	CreatedAt time.Time  `json:"createdAt,omitzero"`

	CPU    Capacity `json:"cpu"`    // millicores
	Memory Capacity `json:"memory"` // bytes
	Pods   []Placed `json:"pods"`   // of the workspace

	Steps  []NodeStep  `json:"steps,omitempty"`  // of the join, oldest first
	Invite *NodeInvite `json:"invite,omitempty"` // how its machine joins; only in the answer that makes it
}

// Capacity is what a node has of something, and what was promised of it.
type Capacity struct {
	Allocatable int64 `json:"allocatable"`
	Requested   int64 `json:"requested"`
}

// Placed is a pod on a node.
type Placed struct {
	Name        string      `json:"name"`
	App         string      `json:"app,omitempty"`
	Environment Environment `json:"environment,omitempty"`
	Ready       bool        `json:"ready"`
}

// NodeStep is one step of a join, as the machine tells it.
type NodeStep struct {
	Name    string    `json:"name"`
	State   string    `json:"state"` // running, done, failed
	Message string    `json:"message,omitempty"`
	Fix     string    `json:"fix,omitempty"`
	At      time.Time `json:"at"`
}

// States of a step.
const (
	StepRunning = "running"
	StepDone    = "done"
	StepFailed  = "failed"
)

// NodeInvite is how another machine joins. It is good for one machine.
type NodeInvite struct {
	Command   string    `json:"command"`   // to be run on that machine as root
	CloudInit string    `json:"cloudInit"` // the same as user data of a cloud's VM
	ExpiresAt time.Time `json:"expiresAt"`
}

// JoinToken begins the one-time secrets by which machines join.
const JoinToken = "hksj_"

// JoinRequest is what a machine says of itself when it uses its invitation.
type JoinRequest struct {
	Machine string    `json:"machine"` // its /etc/machine-id, or another name that stays; the invitation is its own from then on
	Host    string    `json:"host"`
	Arch    string    `json:"arch"` // as Go calls it
	CPUs    int       `json:"cpus"`
	Memory  int64     `json:"memory"` // bytes
	Clock   time.Time `json:"clock"`  // compared with the appliance's
}

// JoinPlan is what the machine needs to become a node.
type JoinPlan struct {
	Node     string     `json:"node"`
	Version  string     `json:"version"` // of the programs
	Server   string     `json:"server"`  // https://HOST:6443
	Token    string     `json:"token"`   // of the cluster
	Labels   []string   `json:"labels"`
	Taints   []string   `json:"taints"`
	Files    []JoinFile `json:"files"`
	Registry struct {
		Host     string `json:"host"`     // as image references name it
		Endpoint string `json:"endpoint"` // https://ADDRESS:PORT
		CA       string `json:"ca"`       // PEM
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"registry"`
	Disks DiskKeys `json:"disks"` // with which it serves the disks of volumes to the appliance
}

// DiskKeys are what the appliance and a node know each other by when disks are
// asked for: each has a certificate of its own, and takes exactly one other.
type DiskKeys struct {
	Certificate string `json:"certificate"` // PEM, one's own
	Key         string `json:"key"`         // PEM
	Peer        string `json:"peer"`        // PEM, of the other
}

// JoinFile is a file that the machine fetches from the appliance.
type JoinFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`          // hexadecimal
	Size   int64  `json:"size"`            // bytes
	Image  bool   `json:"image,omitempty"` // an archive of images for the engine, not a program
}
