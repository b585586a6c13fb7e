package manifest

import (
	"slices"
)

var (
	outDir       = lazily(`\boutDir\s*:\s*['"` + "`" + `]([^'"` + "`" + `]{1,200})['"` + "`" + `]`)
	staticExport = lazily(`\boutput\s*:\s*['"]export['"]`)
)

// bundlers turn a page's source into files, and where they put them.
var bundlers = []struct{ dependency, output string }{
	{"react-scripts", "build"}, {"vite", "dist"}, {"@vue/cli-service", "dist"}, {"parcel", "dist"}, {"parcel-bundler", "dist"},
	{"astro", "dist"}, {"gatsby", "public"}, {"preact-cli", "build"}, {"@rsbuild/core", "dist"}, {"next", "out"}, {"webpack", "dist"},
}

// bundled tells whether files are built that anything can serve.
func (d *Detection) bundled(f folder, p *packageJSON) bool {
	if d.BuildScript == "" {
		return false
	}
	start := p.script("start")
	for _, server := range servers {
		if _, serves := p.Dependencies[server]; serves && start != "" && !developing().MatchString(start) {
			return false // it serves its own files
		}
	}
	for _, b := range bundlers {
		if !p.dependsOn(b.dependency) {
			continue
		}
		switch {
		case b.dependency == "next" && !exports(f),
			b.dependency == "webpack" && !p.dependsOn("react") && !p.dependsOn("vue") && !p.dependsOn("preact"):
			continue
		case b.dependency == "vite" && p.dependsOn("@sveltejs/kit"):
			if !p.dependsOn("@sveltejs/adapter-static") {
				return false
			}
			b.output = "build"
		}
		d.Template, d.Kind, d.Output, d.Port = TemplateReact, KindFrontend, b.output, assumedPort
		d.found("package.json: built by %s with %q into %s, served as files", b.dependency, p.script("build"), d.Output)
		d.outputFolder(f)
		return true
	}
	return false
}

// exports tells whether Next.js is set to write files.
func exports(f folder) bool {
	return slices.ContainsFunc([]string{"next.config.js", "next.config.mjs", "next.config.ts"}, func(name string) bool {
		return staticExport().MatchString(f.glance(name))
	})
}

// outputFolder takes Vite's own setting, as long as it stays in the folder.
func (d *Detection) outputFolder(f folder) {
	name := f.first("vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts", "vite.config.cjs", "vite.config.cts")
	m := outDir().FindStringSubmatch(f.glance(name))
	if name == "" || m == nil {
		return
	}
	if clean, ok := insidePath(m[1]); ok && clean != "." {
		d.Output = clean
		d.found("%s: outDir is %s", name, clean)
		return
	}
	d.found("%s: outDir %q leaves the folder and is not used", name, m[1])
}
