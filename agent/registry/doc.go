// Package registry is the appliance's own image registry: the distribution
// registry as a library, inside the agent, over TLS with a certificate and a
// password of this installation. Nodes know it as agent.RegistryHost.
//
// It takes images from archives (docker save, OCI layout), pushes them to
// itself without a detour over the network, and finds what pods are to pull
// for the name the owner wrote.
package registry
