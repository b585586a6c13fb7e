// Package app runs the owner's applications: it accepts releases, rolls them
// out, watches them truthfully, brings earlier ones back, and reads their logs.
//
// Each app has one worker, which alone writes the app's objects in the
// cluster. A worker is level-triggered: it compares what the store asks for
// with what the informers show and does the next thing, so a restart of the
// agent at any moment only means that it looks again.
package app
