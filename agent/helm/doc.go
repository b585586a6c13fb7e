// Package helm installs, upgrades and removes charts in the workspace, with
// Helm as a library. Nothing is connected, and no schema of the cluster is
// read, before the first chart is touched: an appliance without databases
// pays nothing for it. Releases are kept where Helm keeps them, in Secrets of
// the workspace's namespace, so that the helm command sees them too.
package helm
