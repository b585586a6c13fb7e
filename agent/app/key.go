package app

import "hks.dev/hks/agent"

// key names an app: its name and its environment.
type key struct {
	app string
	env agent.Environment
}

// object is the name of the app's objects in the cluster.
func (k key) object() string { return agent.ObjectName(k.app, k.env) }

// component is the name of the objects of one component.
func (k key) component(name string) string { return agent.ComponentName(k.app, k.env, name) }

// subject names the app in events and activities.
func (k key) subject() string { return k.app + "/" + string(k.env) }

// command writes a command of hks for this app, as a mend to show.
func (k key) command(verb string) string {
	if k.env == agent.Staging {
		return "hks " + verb + " " + k.app
	}
	return "hks " + verb + " " + k.app + " --environment " + string(k.env)
}
