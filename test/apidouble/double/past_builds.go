package double

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// pastBuilds begins with builds of all kinds: one that made a release, one
// that failed since, and one that goes on until it is cancelled.
func (d *Double) pastBuilds() {
	for _, b := range []struct{ app, api string }{
		{"notes", "FROM node:24\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN echo added 212 packages in 3s\nCOPY . .\nRUN echo compiled 48 modules\n"},
		{"notes", "FROM node:24\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN echo added 212 packages in 3s\nCOPY . .\n" +
			"RUN echo notes.test.js: 12 passed, 1 failed && echo Error: expected 3 notes, got 2 && exit 1\n"},
		{"guide", "FROM python:3.13\nCOPY . .\nRUN echo Collecting sphinx && echo Installed 31 packages && sleep 86400\n"},
	} {
		source, err := project(b.app, b.api)
		if err != nil {
			d.log.Error("a build can't be seeded", "err", err)
			return
		}
		made, err := d.builds.Submit(d.world.life, b.app, agent.Staging, agent.BuildRequest{}, bytes.NewReader(source), "owner")
		if err != nil {
			d.log.Error("a build can't be seeded", "err", err)
			return
		}
		if b.app == "guide" {
			return // it goes on
		}
		for range d.builds.Logs(d.world.life, made.ID, true) { //nolint:revive // one after the other
		}
	}
}

// project is the source of an app with a component that is built, and one that
// is a page.
func project(app, recipe string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, file := range []struct{ name, text string }{
		{"hks.yaml", "app: " + app + "\ncomponents:\n  api:\n    kind: backend\n    build: ./api\n    port: 3000\n    route: /api\n" +
			"  site:\n    kind: frontend\n    build: ./site\n    port: 8080\n    route: /\n"},
		{"site/Dockerfile", "FROM nginx:1\nCOPY . /usr/share/nginx/html\n"},
		{"api/Dockerfile", recipe},
	} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.text)), ModTime: time.Now()}); err != nil {
			return nil, fmt.Errorf("packing a source: %w", err)
		}
		if _, err := w.Write([]byte(file.text)); err != nil {
			return nil, fmt.Errorf("packing a source: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing a source: %w", err)
	}
	return out.Bytes(), nil
}
