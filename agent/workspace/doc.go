// Package workspace makes and keeps the owner's workspace: a namespace with
// Pod Security, quota, limits, network policy and the owner's own rights.
//
// It is one state machine whose place is a row in the store: each step is
// applied and then observed in the cluster; a step that fails takes away what
// was made; a restart of the agent resumes where the row says. A change of
// name is the same machine run for the new namespace before the row switches
// over and the old namespace goes.
package workspace
