package cluster

import (
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// carries deploys an app with a volume and brings it to the dedicated node: its
// data goes along, verified, and what it was copied from stays.
func carries(t *testing.T, node string) {
	t.Helper()
	volumeGone(t, diaryVolume)
	remove(t, "diary")
	hks(t, "deploy", "--source", diaryOf(t, "64Mi"))
	before := volumeIs(t, diaryVolume, 64<<20)
	keeps(t, "/data/note", "it goes along")
	page(t, "fill", "/data/bulk", "20")

	plan := ask[agent.MovePlan](t, "app", "move", "diary", "--to", "dedicated", "--plan")
	if !plan.Fits || plan.Volumes == nil || plan.Pause <= 0 || plan.Volumes.Node != node {
		t.Errorf("A87 the plan says neither what is copied nor how long that takes: %+v", plan)
	}
	begun := time.Now()
	hks(t, "app", "move", "diary", "--to", "dedicated", "--yes")
	t.Logf("moved with its volume in %s", time.Since(begun).Round(time.Second))
	reads(t, "/data/note", "it goes along")
	after := volumeOf(t, diaryVolume)
	if after.Node != node || after.ID == before.ID || after.Status != agent.VolumeReady {
		t.Errorf("A87 after the move: %+v", after)
	}
	if source := volumeOf(t, before.ID); source.Status != agent.VolumeKept || source.KeptUntil.IsZero() {
		t.Errorf("A87 what it was copied from: %+v", source)
	}
	if pods := ask[agent.Node](t, "node", "show", node).Pods; !strings.Contains(podNames(pods), "diary") {
		t.Errorf("A87 on the node are %v", pods)
	}
	keeps(t, "/data/note", "and comes back")

	serviceGone(t, "moved")
	hks(t, "market", "install", "postgresql", "moved", "--storage", "256Mi")
	psql(t, "moved", "CREATE TABLE kept AS SELECT n, md5(n::text) AS sum FROM generate_series(1, 10000) n")
	sum := psql(t, "moved", sumOfRows)
	out := hks(t, "market", "move", "moved", "--to", "dedicated", "--yes")
	t.Logf("%s", out)
	if got := psql(t, "moved", sumOfRows); got != sum || sum == "" {
		t.Errorf("A87 the rows are not those of before: %q, %q", got, sum)
	}
	if pods := ask[agent.Node](t, "node", "show", node).Pods; !strings.Contains(podNames(pods), "moved-0") {
		t.Errorf("A87 on the node are %v", pods)
	}
	psql(t, "moved", "INSERT INTO kept VALUES (0, 'there')")
}

const sumOfRows = "SELECT count(*) || ' ' || md5(string_agg(sum, '' ORDER BY n)) FROM kept WHERE n > 0"

// cameBack looks at that app after its node was removed.
func cameBack(t *testing.T) {
	t.Helper()
	reads(t, "/data/note", "and comes back")
	if got := psql(t, "moved", "SELECT count(*) FROM kept"); !strings.Contains(got, "10001") {
		t.Errorf("A89 the service came back with %q rows", got)
	}
	if v := volumeOf(t, diaryVolume); v.Status != agent.VolumeReady || strings.HasPrefix(v.Node, "prod-") {
		t.Errorf("A89 its volume after the node was removed: %+v", v)
	}
}

func podNames(pods []agent.Placed) string {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return strings.Join(names, " ")
}
