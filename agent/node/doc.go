// Package node knows the machines of the cluster: the appliance's own, which
// is the shared pool, and dedicated nodes that join by a one-time invitation.
// It keeps their labels and taints as they should be, tells what runs where,
// and drains and removes nodes.
package node
