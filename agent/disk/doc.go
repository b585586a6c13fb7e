// Package disk keeps filesystems in files. A disk is a folder of the state:
//
//	volumes/ID/disk.img   an ext4 filesystem, as large as was asked for; sparse
//	volumes/ID/fs         where it is mounted, by a loop device
//	volumes/ID/fs/data    what a pod gets
//
// The folder data is inside of the filesystem, so where that is not mounted
// there is nothing that a pod could be started on by mistake.
//
// Loop devices let go of their file by themselves when the last mount ends,
// so that nothing is left where a process dies or a mount namespace goes.
package disk
