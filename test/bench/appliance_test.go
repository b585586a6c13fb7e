package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/test/images"
)

// Goals of the appliance.
const (
	deployAgainstKubectl = 1.05
	agentIdleRSS         = 80 << 20
	agentIdleCPU         = 0.01 // of a core
	listTakes            = 50 * time.Millisecond
	rollbackTakes        = 10 * time.Second
	deployOverBuild      = 2 * time.Second
)

// certificates are those that the machine trusts.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// appliance is a whole appliance in the sandbox that `make bench` makes.
type appliance struct{ bin string }

// bringUp runs what `make up` runs and makes the workspace. It goes with the
// sandbox.
func bringUp(b *testing.B) appliance {
	b.Helper()
	a := appliance{bin: os.Getenv("HKS_BIN")}
	if a.bin == "" {
		b.Skip("needs the sandbox and the built commands: run it by make bench")
	}
	if err := os.MkdirAll("/etc/hks", 0o755); err != nil {
		b.Fatal(err)
	}
	// Builds get the machine's certificates: its network may sign TLS anew.
	if err := os.WriteFile("/etc/hks/config.yaml", []byte("build:\n  ca: "+certificates+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	a.command(b, "hks-installer", "up", "--root", "/", "--from", a.bin)
	b.Cleanup(func() { a.command(b, "hks-installer", "purge", "--root", "/", "--yes") })
	a.hks(b, "workspace", "create")
	for _, tag := range []string{"1", "2"} {
		archive, err := images.Write(b.Context(), b.TempDir(), images.Image{
			Name: "page:" + tag, Package: "hks.dev/hks/test/samples/page", Env: []string{"VERSION=" + tag},
		})
		if err != nil {
			b.Fatal(err)
		}
		a.hks(b, "image", "load", archive)
	}
	return a
}

func (a appliance) hks(b *testing.B, args ...string) string { return a.command(b, "hks", args...) }

func (a appliance) command(b *testing.B, name string, args ...string) string {
	b.Helper()
	// Not the benchmark's own context, which has ended when it is cleaned up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(a.bin, name), args...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), told.Bytes())
	}
	return out.String()
}

func (a appliance) kubectl(b *testing.B, input string, args ...string) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/local/bin/k3s", append([]string{"kubectl", "--kubeconfig", "/etc/rancher/k3s/k3s.yaml", "--namespace", agent.DefaultWorkspace}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// timed is how long fn takes.
func timed(fn func()) time.Duration {
	begin := time.Now()
	fn()
	return time.Since(begin)
}

func middle(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[len(times)/2]
}

// BenchmarkAppliance weighs a whole appliance:
//
//	deploy    hks deploy of an image, against kubectl apply and rollout status
//	          of the same objects, in turns
//	rollback  hks rollback until it serves
//	list      hks app list
//	build     hks deploy of an unchanged folder, against a bare build of it by
//	          BuildKit, in turns
//	change    hks deploy of a one-file change of the Node.js sample, against a
//	          bare build, push and rollout of it, in turns
//	idle      the agent's memory, and its CPU over a minute
func BenchmarkAppliance(b *testing.B) {
	a := bringUp(b)
	b.Run("deploy", a.benchDeploy)
	b.Run("rollback", a.benchRollback)
	b.Run("list", a.benchList)
	b.Run("build", a.benchBuild)
	b.Run("change", a.benchChange)
	b.Run("idle", a.benchIdle)
}

func (a appliance) benchDeploy(b *testing.B) {
	var objects [2]string // of the two images
	for i := range objects {
		a.hks(b, "deploy", "--name", "own", "--image", fmt.Sprintf("page:%d", i+1), "--port", "8080", "--health", "/healthz")
		objects[i] = plainCopy(b, a.kubectl(b, "", "get", "deployment/own-staging", "service/own-staging", "ingress/own-staging", "--output", "json"))
	}
	for b.Loop() {
		var own, plain []time.Duration
		for i := range 6 {
			plain = append(plain, timed(func() {
				a.kubectl(b, objects[i%2], "apply", "--filename", "-")
				a.kubectl(b, "", "rollout", "status", "deployment/plain", "--timeout", "90s")
			}))
			own = append(own, timed(func() { a.hks(b, "deploy", "--name", "own", "--image", fmt.Sprintf("page:%d", i%2+1)) }))
		}
		ratio := float64(middle(own)) / float64(middle(plain))
		report(b, "deploy", fmt.Sprintf("%s against %s by kubectl, %.2fx", middle(own).Round(10*time.Millisecond), middle(plain).Round(10*time.Millisecond), ratio),
			fmt.Sprintf("%.2fx", deployAgainstKubectl), ratio <= deployAgainstKubectl)
		b.ReportMetric(ratio, "x-kubectl")
	}
}

// plainCopy makes objects called plain of those given, as a person would have
// written them.
func plainCopy(b *testing.B, list string) string {
	b.Helper()
	var objects struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Items      []map[string]any `json:"items"`
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(list, "own-staging", "plain")), &objects); err != nil {
		b.Fatal(err)
	}
	for _, object := range objects.Items {
		delete(object, "status")
		metadata, _ := object["metadata"].(map[string]any)
		object["metadata"] = map[string]any{"name": metadata["name"]}
		spec, _ := object["spec"].(map[string]any)
		for _, field := range []string{"clusterIP", "clusterIPs"} {
			delete(spec, field)
		}
	}
	data, err := json.Marshal(objects)
	if err != nil {
		b.Fatal(err)
	}
	// Its pods are not those of the app, and its host is its own.
	return strings.ReplaceAll(strings.ReplaceAll(string(data), `"hks.dev/app":"own"`, `"hks.dev/plain":"own"`), "own-staging.", "plain.")
}

func (a appliance) benchRollback(b *testing.B) {
	for b.Loop() {
		var times []time.Duration
		for range 5 {
			times = append(times, timed(func() { a.hks(b, "rollback", "own") }))
		}
		report(b, "rollback", middle(times).Round(10*time.Millisecond).String(), rollbackTakes.String(), middle(times) < rollbackTakes)
	}
}

func (a appliance) benchList(b *testing.B) {
	for b.Loop() {
		var times []time.Duration
		for range 20 {
			times = append(times, timed(func() { a.hks(b, "app", "list") }))
		}
		report(b, "app list", middle(times).Round(100*time.Microsecond).String(), listTakes.String(), middle(times) <= listTakes)
	}
}

func (a appliance) benchBuild(b *testing.B) {
	folder := filepath.Join(b.TempDir(), "hello")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("..", "samples", "hello-dockerfile"))); err != nil {
		b.Fatal(err)
	}
	deploy := func() { a.hks(b, "deploy", "--source", folder, "--name", "built") }
	bare := a.builder(b)
	build := func() {
		if _, err := bare.Solve(b.Context(), buildkit.Job{Key: "bare", Context: folder, Target: ""}, func(buildkit.Event) {}); err != nil {
			b.Fatal(err)
		}
	}
	deploy()
	build()
	for b.Loop() {
		var own, plain []time.Duration
		for range 5 {
			plain, own = append(plain, timed(build)), append(own, timed(deploy))
		}
		over := middle(own) - middle(plain)
		report(b, "build", fmt.Sprintf("%s against %s for the bare build, %s more", middle(own).Round(time.Millisecond), middle(plain).Round(time.Millisecond), over.Round(time.Millisecond)),
			deployOverBuild.String()+" more", over <= deployOverBuild)
	}
}

// builder speaks to the appliance's BuildKit as any of its clients would.
func (a appliance) builder(b *testing.B) *buildkit.Client {
	b.Helper()
	data, err := os.ReadFile("/etc/rancher/k3s/registries.yaml")
	if err != nil {
		b.Fatal(err)
	}
	var registries struct {
		Mirrors map[string]struct {
			Endpoint []string `yaml:"endpoint"`
		} `yaml:"mirrors"`
		Configs map[string]struct {
			Auth struct {
				Username string `yaml:"username"`
				Password string `yaml:"password"`
			} `yaml:"auth"`
			TLS struct {
				CAFile string `yaml:"ca_file"`
			} `yaml:"tls"`
		} `yaml:"configs"`
	}
	if err := yaml.Unmarshal(data, &registries); err != nil {
		b.Fatal(err)
	}
	own := registries.Mirrors[agent.RegistryHost]
	config := slices.Collect(maps.Values(registries.Configs))
	if len(own.Endpoint) == 0 || len(config) == 0 {
		b.Fatalf("the own registry is not in %s", data)
	}
	client, err := buildkit.NewClient(buildkit.ClientConfig{
		Socket: "/run/hks/buildkit.sock", Network: buildkit.NetworkHost, CA: certificates,
		Use: func(context.Context) (func(), error) { return func() {}, nil },
		Registry: func() buildkit.Registry {
			return buildkit.Registry{Address: strings.TrimPrefix(own.Endpoint[0], "https://"), CAFile: config[0].TLS.CAFile, Username: config[0].Auth.Username, Password: config[0].Auth.Password}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func (a appliance) benchIdle(b *testing.B) {
	process := &gatewayProcess{pid: pidOf(b, "/run/hks/agent.pid")}
	for b.Loop() {
		before := process.cpu(b)
		select { // what is measured is that nothing happens
		case <-time.After(time.Minute):
		case <-b.Context().Done():
		}
		cpu := (process.cpu(b) - before).Seconds() / time.Minute.Seconds()
		rss := process.rss(b)
		report(b, "agent idle RSS", fmt.Sprintf("%.1f MB", megabytes(rss)), "80 MB", rss <= agentIdleRSS)
		report(b, "agent idle CPU", fmt.Sprintf("%.2f %% of a core", 100*cpu), "1 %", cpu <= agentIdleCPU)
		b.ReportMetric(megabytes(rss), "MB")
	}
}

func pidOf(b *testing.B, file string) int {
	b.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	var record struct {
		PID int `json:"pid"`
	}
	if json.Unmarshal(data, &record) == nil && record.PID > 0 {
		return record.PID
	}
	pid, err := strconv.Atoi(strings.Fields(string(data))[0])
	if err != nil {
		b.Fatalf("no pid in %s: %q", file, data)
	}
	return pid
}
