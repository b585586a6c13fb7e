// Package detect finds what is wrong in figures of containers, requests,
// volumes, logs and plain series. It is pure code: no clock, no goroutine, no
// input or output of its own. What it is fed decides what it says, so that the
// live path and a replay of a file give the same alerts.
//
// An Engine is fed in the order of time and asked with Advance what has
// changed. It keeps what it needs in memory, bounded; an owner that restarts
// feeds the history it has kept (one sample a minute is enough) before it goes
// on, calling Advance in between and dropping the alerts it knows already.
package detect
