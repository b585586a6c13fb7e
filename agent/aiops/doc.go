// Package aiops is the assistant that watches how workloads fare: it samples
// the nodes, keeps the figures, finds what is wrong, opens an incident with
// evidence and a remedy, tells the owner's channels, and resolves the incident
// when it was seen to be over.
//
// Data goes one way: Sampler and Watcher see, detect and the rules judge,
// Manager keeps incidents, Reporter tells.
package aiops
