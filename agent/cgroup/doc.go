// Package cgroup is the place where builds run: control groups that keep them
// from taking the machine, and what takes away what they leave there.
package cgroup
