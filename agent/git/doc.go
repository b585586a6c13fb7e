// Package git reads repositories by the program git, over HTTPS or SSH, with
// nothing of the machine's settings. SSH is spoken by this process: git is
// given a port on the loopback that leads to it, so that the key is in no file.
package git
