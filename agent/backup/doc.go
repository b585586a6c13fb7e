// Package backup keeps the appliance itself: it makes one encrypted archive of
// all that a clean machine needs to become the same appliance, by hand and by
// the clock, copies it elsewhere, and proves by drills that it can be opened
// and is whole. Restoring is the installer's work, as it needs no agent.
package backup
