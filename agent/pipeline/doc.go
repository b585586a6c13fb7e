// Package pipeline takes every push to a branch through a fixed graph: check
// out, build and test, deploy to staging. A webhook only says that there is
// something to look at; what is built is always asked of GitHub, so that a
// webhook and a look at the branch that see one push make one run.
package pipeline
