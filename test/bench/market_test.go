package bench

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// barePod is the database's image with the same limits and nothing of ours
// around it, on a volume of the same class; and a client for both.
const barePod = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: bare}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  securityContext: {fsGroup: 10001, seccompProfile: {type: RuntimeDefault}} # the runtime's own, as docker run has it
  containers:
    - name: database
      image: registry.hks.internal/hks/postgres:17
      args: [start, shared_buffers=64MB, effective_cache_size=153MB, maintenance_work_mem=20MB]
      env:
        - {name: HKS_DATABASE, value: app}
        - {name: HKS_USER, value: app_1}
        - {name: HKS_PASSWORD_FILE, value: /etc/hks/credentials/password}
      resources: {requests: {cpu: 50m}, limits: {cpu: "1", memory: 256Mi}}
      readinessProbe: {exec: {command: [pg_isready, -q, -h, /run/hks, -d, app]}, periodSeconds: 1}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: credentials, mountPath: /etc/hks/credentials}
  volumes:
    - {name: data, persistentVolumeClaim: {claimName: bare}}
    - {name: credentials, secret: {secretName: db-credentials, defaultMode: 0440}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
    - name: client
      image: registry.hks.internal/hks/postgres:17
      command: [sleep, infinity]
      resources: {requests: {cpu: 50m}, limits: {cpu: "1", memory: 128Mi}}
`

var perSecond = regexp.MustCompile(`tps = ([0-9.]+)`)

// BenchmarkDatabase compares pgbench by the address that a bound app gets with
// the same image run bare with the same limits, in turns.
func BenchmarkDatabase(b *testing.B) {
	a := bringUp(b)
	a.hks(b, "market", "install", "postgresql", "db")
	var held agent.Credentials
	if err := json.Unmarshal([]byte(a.hks(b, "market", "show", "db", "--credentials", "--json")), &held); err != nil {
		b.Fatal(err)
	}
	a.kubectl(b, barePod, "apply", "--filename", "-")
	a.kubectl(b, "", "wait", "--for=condition=Ready", "pod/bare", "pod/client", "--timeout", "120s")
	address := strings.TrimSpace(a.kubectl(b, "", "get", "pod", "bare", "--output", "jsonpath={.status.podIP}"))
	bare := strings.Replace(held.URL, "@db:", "@"+address+":", 1)
	run := func(url string, args ...string) string {
		return a.kubectl(b, "", append([]string{"exec", "client", "--", "pgbench"}, append(args, url)...)...)
	}
	for _, url := range []string{held.URL, bare} {
		run(url, "--initialize", "--scale", "5", "--quiet")
	}
	for b.Loop() {
		var sum [2]float64
		for turn := range 4 { // in turns, each first as often, so that both see the same machine
			for step := range 2 {
				i := (turn + step) % 2
				url := []string{held.URL, bare}[i]
				out := run(url, "--client", "4", "--time", "10", "--no-vacuum")
				found := perSecond.FindStringSubmatch(out)
				if found == nil {
					b.Fatalf("no figure in %s", out)
				}
				tps, err := strconv.ParseFloat(found[1], 64)
				if err != nil {
					b.Fatal(err)
				}
				sum[i] += tps / 4
			}
		}
		ratio := sum[0] / sum[1]
		report(b, "pgbench by the bound address", fmt.Sprintf("%.0f transactions/s, bare %.0f", sum[0], sum[1]), "95 % of bare", ratio >= 0.95)
		b.ReportMetric(ratio, "of-bare")
	}
}
