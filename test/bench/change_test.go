package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/build"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/manifest"
)

// changeAgainstBare is what hks deploy of a one-file change may take against a
// bare build, push and rollout of it.
const changeAgainstBare = 1.15

// benchChange deploys the Node.js sample after a change of one file, against a
// bare build of the same change, its push, and kubectl's rollout of the image,
// in turns.
func (a appliance) benchChange(b *testing.B) {
	own, plain := nodeSample(b), nodeSample(b)
	a.hks(b, "deploy", "--source", own, "--name", "node")
	// Its pods are not those of the app.
	objects := strings.NewReplacer("node-staging", "bare", `"hks.dev/app":"node"`, `"hks.dev/plain":"node"`).
		Replace(plainCopy(b, a.kubectl(b, "", "get", "deployment/node-staging", "service/node-staging", "--output", "json")))
	a.kubectl(b, objects, "apply", "--filename", "-")
	recipe := recipeOf(b, plain)
	bare := a.builder(b)
	number := 0
	change := func(folder string) {
		number++
		file := filepath.Join(folder, "catalogue.js")
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendf(text, "\n// change %d\n", number), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	barely := func() {
		result, err := bare.Solve(b.Context(), buildkit.Job{Key: "bare", Context: plain, Dockerfile: recipe.Dockerfile, Ignore: recipe.Ignore, Push: fmt.Sprintf("bare/node:%d", number)}, func(buildkit.Event) {})
		if err != nil {
			b.Fatal(err)
		}
		a.kubectl(b, "", "set", "image", "deployment/bare", "app="+agent.RegistryHost+"/bare/node@"+result.Digest)
		a.kubectl(b, "", "rollout", "status", "deployment/bare", "--timeout", "90s")
	}
	change(plain)
	barely()
	for b.Loop() {
		var ours, theirs []time.Duration
		for range 6 {
			change(plain)
			theirs = append(theirs, timed(barely))
			change(own)
			ours = append(ours, timed(func() { a.hks(b, "deploy", "--source", own, "--name", "node") }))
		}
		ratio := float64(middle(ours)) / float64(middle(theirs))
		report(b, "one-file change", fmt.Sprintf("%s against %s by bare build, push and rollout, %.2fx", middle(ours).Round(10*time.Millisecond), middle(theirs).Round(10*time.Millisecond), ratio),
			fmt.Sprintf("%.2fx", changeAgainstBare), ratio <= changeAgainstBare)
		b.ReportMetric(ratio, "x-bare")
	}
}

// nodeSample copies the backend of the sample project.
func nodeSample(b *testing.B) string {
	b.Helper()
	folder := filepath.Join(b.TempDir(), "node")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("..", "samples", "shop", "backend"))); err != nil {
		b.Fatal(err)
	}
	return folder
}

// recipeOf is the recipe that hks builds a folder by.
func recipeOf(b *testing.B, folder string) build.Recipe {
	b.Helper()
	found, err := manifest.Detect(os.DirFS(folder))
	if err != nil {
		b.Fatal(err)
	}
	recipe, err := build.NewRecipe(build.Source{
		Template: build.Template(found.Template), PackageManager: found.PackageManager, LockFile: found.LockFile, BuildScript: found.BuildScript,
		Output: found.Output, StartCommand: found.StartCommand, TestCommand: found.TestCommand,
	}, build.Options{Images: build.OwnImages(), CA: true})
	if err != nil {
		b.Fatal(err)
	}
	return recipe
}
