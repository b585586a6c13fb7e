package manifest

import (
	"slices"
)

var (
	coordinating = lazily(`\b(concurrently|npm-run-all|run-p|run-s|turbo|lerna|nx)\b|--prefix|--workspace|\s-w\s|--filter|\bcd\s`)
	developing   = lazily(`^(\S*\s)*?(vite(?:\s+(?:dev|serve))?|react-scripts start|next dev|nodemon|ts-node-dev|ng serve|webpack(?:-dev-server| serve)|tsx watch|node --watch|parcel|astro dev|gatsby develop|vue-cli-service serve)(\s|$)`)
	nodePort     = []pattern{
		lazily(`PORT['"\])]*\s*(?:\|\||\?\?)\s*['"]?(\d{2,5})`),
		lazily(`\.listen\(\s*(?:\{\s*port:\s*)?(\d{2,5})`),
		lazily(`\b[pP](?:ort|ORT)\s*[:=]\s*['"]?(\d{2,5})`),
	}
	scriptPort = lazily(`(?:--port[= ]|\s-p\s*|\bPORT=)(\d{2,5})`)
	nodeServes = lazily(`\.listen\(|createServer\(|\bserve\(`)
)

var queues = []string{"bullmq", "bull", "bee-queue", "agenda", "amqplib", "kafkajs", "node-cron", "node-schedule", "pg-boss", "graphile-worker"}

// started finds how it is run for others, not for its author.
func (d *Detection) started(f folder, p *packageJSON) {
	for _, name := range []string{"start:prod", "start"} {
		script := p.script(name)
		switch {
		case script == "":
			continue
		case coordinating().MatchString(script):
			d.coordinates = true
			d.found("package.json: the script %s runs those of other folders", name)
			continue
		case developing().MatchString(script):
			d.found("package.json: the script %s is for development: %q", name, script)
			continue
		}
		d.found("package.json: %s script %q", name, script)
		words, err := split(script)
		switch {
		case err == nil && len(words) > 1 && len(words) <= maxCommandWords && words[0] == "node":
			d.StartCommand = words // without npm in between, which keeps signals to itself
		case name == "start":
			d.StartCommand = []string{d.PackageManager, "start"}
		default:
			d.StartCommand = []string{d.PackageManager, "run", name}
		}
		return
	}
	main, _ := p.Main.(string)
	for _, entry := range []string{main, "server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "src/server.js", "src/index.js", "src/app.js"} {
		if clean, ok := insidePath(entry); ok && f.has(clean) && !d.coordinates && (p.script("start") != "" || listens(f.glance(clean))) {
			d.StartCommand = []string{"node", clean}
			d.found("%s is started with node", clean)
			return
		}
	}
	if d.BuildScript != "" {
		d.found("no way to start it was found: give command")
	}
}

func listens(source string) bool { return nodeServes().MatchString(source) }

// nodePort looks for the port in the scripts, the file that is started and the
// example of its settings; what only works off a queue has none.
func (d *Detection) nodePort(f folder, p *packageJSON) {
	for _, name := range []string{"start:prod", "start"} {
		if port := portIn(p.script(name), scriptPort); port > 0 {
			d.listens(port, "package.json")
			return
		}
	}
	serves := slices.ContainsFunc(servers, p.dependsOn) || p.dependsOn("next")
	candidates := []string{"server.js", "index.js", "app.js", "src/server.js", "src/index.js", "src/app.js", "src/main.ts", "src/index.ts", "src/server.ts", "src/app.ts", "server.ts", "index.ts"}
	for _, word := range d.StartCommand {
		if clean, ok := insidePath(word); ok && f.has(clean) {
			candidates = slices.Insert(candidates, 0, clean)
		}
	}
	for _, name := range candidates {
		source := f.glance(name)
		serves = serves || listens(source)
		if port := portIn(source, nodePort...); port > 0 {
			d.listens(port, name)
			return
		}
	}
	if queue := slices.IndexFunc(queues, p.dependsOn); !serves && queue >= 0 {
		d.Kind = KindWorker
		d.found("package.json: works with %s, and nothing listens", queues[queue])
		return
	}
	d.listens(0, "")
}
