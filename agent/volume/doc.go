// Package volume makes the volumes of StorageClass hks: for each claim a disk
// (agent/disk) and a PersistentVolume that leads to it. It mounts them at each
// start, grows them, and keeps those whose claim has gone for a grace time.
// A volume is on the machine where its pods are, and is carried to another when
// they are to run there.
//
// What it has begun is in its ledger before it is begun, and each step is the
// same when it is done twice: a turn looks at the ledger, the claims and the
// PersistentVolumes, and does what is next.
package volume
