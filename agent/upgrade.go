package agent

import "time"

// UpgradeKind is the direction of a change of the appliance's version.
type UpgradeKind string

// The kinds.
const (
	KindUpgrade  UpgradeKind = "upgrade"
	KindRollback UpgradeKind = "rollback"
)

// UpgradeState is how far such a change is.
type UpgradeState string

// The states. A change that is under way and whose installer is no more was
// cut off: it goes on with the next run.
const (
	UpgradeRunning  UpgradeState = "running"
	UpgradeDone     UpgradeState = "done"
	UpgradeReturned UpgradeState = "returned" // it failed, and the version before serves again
	UpgradeStuck    UpgradeState = "stuck"    // it failed, and so did the way back
)

// Upgrade is a change of the appliance's version, as hks-installer writes it
// down on the machine.
type Upgrade struct {
	Kind      UpgradeKind  `json:"kind"`
	From      string       `json:"from"`
	To        string       `json:"to"`
	State     UpgradeState `json:"state"`
	Step      string       `json:"step"`             // what is done now, or was done last
	Reason    string       `json:"reason,omitempty"` // why it did not end well
	StartedAt time.Time    `json:"startedAt"`
	EndedAt   time.Time    `json:"endedAt,omitzero"`
}
