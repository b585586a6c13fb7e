// Package installer changes the machine: it places the appliance's programs,
// starts the agent, and takes everything away again.
//
// Every change is written to a journal before it is made, so that an
// interrupted run is gone on with, and a removal undoes exactly what was done.
package installer
