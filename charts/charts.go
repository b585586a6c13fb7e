// Package charts holds the Helm charts of the marketplace. Each folder is one
// chart; how the platform treats it is in the annotations of its Chart.yaml:
//
//	hks.dev/title     as people call it
//	hks.dev/engine    what hks-service in the image calls it; empty: no users, no backups
//	hks.dev/port      that clients connect to
//	hks.dev/env       what a bound app gets, one NAME=VALUE a line, with {host} {port} {user} {password} {database}
//	hks.dev/client    command line of a client, with the same words and {url}, never {password}; none: the address is printed
//	hks.dev/major     of the server; one is never crossed by an upgrade
package charts

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed all:mariadb all:postgresql all:rabbitmq all:s3 all:valkey
var files embed.FS

// Names lists the charts in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // embedded
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	slices.Sort(names)
	return names
}

// Open returns the files of one chart; ok is false when there is none of that
// name.
func Open(name string) (chart fs.FS, ok bool) {
	if !slices.Contains(Names(), name) {
		return nil, false
	}
	chart, err := fs.Sub(files, name)
	return chart, err == nil
}
