// Package buildkit runs a BuildKit daemon and speaks to it: source goes in, an
// image in the appliance's own registry comes out.
//
// The daemon is a process of its own, started with the first build and stopped
// after a time without one. It and the steps it runs are in control groups of
// their own, so that a build is slow before the machine is.
package buildkit
