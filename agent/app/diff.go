package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Diff tells what a deploy would change of the newest release, without doing
// it. Values of the environment are never shown.
func (m *Manager) Diff(ctx context.Context, app string, env agent.Environment, d agent.Deploy) ([]agent.Change, error) {
	k, err := newKey(app, env)
	if err != nil {
		return nil, err
	}
	state, exists, err := m.cfg.Store.App(ctx, k.app, k.env)
	if err != nil {
		return nil, err
	}
	var newest store.AppRelease
	if exists {
		if newest, _, err = m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Newest.Number); err != nil {
			return nil, err
		}
	}
	spec, _, err := complete(d, newest.Spec)
	if err != nil {
		return nil, err
	}
	changes := compare(newest.Spec, spec)
	for _, name := range slices.Sorted(maps.Keys(d.Replicas)) {
		was := ""
		if _, ok := newest.Spec.Component(name); ok {
			was = replicasText(state.Replicas(name))
		}
		if is := replicasText(d.Replicas[name]); is != was {
			changes = append(changes, agent.Change{Component: name, Field: "replicas", From: was, To: is})
		}
	}
	return changes, nil
}

// compare lists what differs from one configuration to another, by component.
func compare(from, to agent.Spec) []agent.Change {
	var changes []agent.Change
	for _, name := range componentNames(from, to) {
		was, had := from.Component(name)
		is, has := to.Component(name)
		switch {
		case !had:
			changes = append(changes, agent.Change{Component: name, Field: "component", To: "new"})
		case !has:
			changes = append(changes, agent.Change{Component: name, Field: "component", From: "removed"})
			continue
		}
		changes = append(changes, compareComponent(was, is)...)
	}
	if from.Place != to.Place && len(from.Components) > 0 {
		changes = append(changes, agent.Change{Field: "place", From: wordOf(from.Place), To: wordOf(to.Place)})
	}
	return append(changes, compareEnv(from.Env, to.Env)...)
}

func componentNames(specs ...agent.Spec) []string {
	var names []string
	for _, spec := range specs {
		for _, c := range spec.Components {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func compareComponent(was, is agent.Component) []agent.Change {
	before, after := fieldsOf(was), fieldsOf(is)
	var changes []agent.Change
	for i, field := range after {
		if from := before[i].value; from != field.value {
			changes = append(changes, agent.Change{Component: is.Name, Field: field.name, From: from, To: field.value})
		}
	}
	names := slices.Sorted(maps.Keys(was.Env))
	names = append(names, slices.Sorted(maps.Keys(is.Env))...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if was.Env[name] != is.Env[name] {
			changes = append(changes, agent.Change{Component: is.Name, Field: "env " + name, From: was.Env[name], To: is.Env[name]})
		}
	}
	return changes
}

type field struct{ name, value string }

// fieldsOf writes a component down, always in the same order.
func fieldsOf(c agent.Component) []field {
	return []field{
		{"image", c.Image}, {"port", number(c.Port)}, {"host", c.Host}, {"path", c.Path}, {"health", c.Health},
		{"cpu", c.CPU}, {"memory", c.Memory}, {"command", words(c.Command)}, {"release", words(c.Release)}, {"secrets", strings.Join(c.Secrets, ", ")}, {"volumes", volumeWords(c.Volumes)},
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// replicasText is a scale as one value: a number, or bounds.
func replicasText(s agent.Scale) string {
	if s.Auto() {
		return s.String()
	}
	return number(s.Max)
}

// volumeWords writes volumes as name:path:size.
func volumeWords(volumes []agent.ComponentVolume) string {
	var list []string
	for _, v := range volumes {
		list = append(list, v.Name+":"+v.Path+":"+v.Size)
	}
	return strings.Join(list, ", ")
}

// words writes a command so that its words can be told apart.
func words(command []string) string {
	if len(command) == 0 {
		return ""
	}
	text, err := json.Marshal(command)
	if err != nil {
		return strings.Join(command, " ") // strings always marshal
	}
	return string(text)
}

// compareEnv says which values of an app's environment differ, not what they
// are.
func compareEnv(from, to map[string]string) []agent.Change {
	var changes []agent.Change
	names := append(slices.Collect(maps.Keys(from)), slices.Collect(maps.Keys(to))...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, had := from[name]
		is, has := to[name]
		change := agent.Change{Field: "env " + name, From: agent.HiddenValue, To: agent.HiddenValue}
		switch {
		case !had:
			change.From = ""
		case !has:
			change.To = ""
		case was == is:
			continue
		}
		changes = append(changes, change)
	}
	return changes
}
