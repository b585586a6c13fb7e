package build

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

const someTests = `<?xml version="1.0"?>
<testsuites><testsuite name="cart"><testcase name="adds" classname="CartTest" time="0.25"/>
<testcase name="pays" time="1"><failure message="want 3">got 2 with hunter22 in it</failure></testcase>
<testcase name="later"><skipped/></testcase></testsuite></testsuites>`

func archiveOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReportsAreRead(t *testing.T) {
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>`
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"a report":         {[]string{"junit.xml", someTests}, "CartTest/adds passed, cart/pays failed, cart/later skipped"},
		"no report":        {[]string{"notes.txt", someTests, "empty.xml", ""}, ""},
		"not XML":          {[]string{"x.xml", "<testsuite><testcase name='one'/><<<"}, "/one passed"},
		"entities":         {[]string{"x.xml", bomb}, "/&b; passed"},
		"control sequence": {[]string{"x.xml", "<testcase name='a\x7fb'/>"}, "/ab passed"},
		"nested suites":    {[]string{"x.xml", "<testsuite name='a'><testsuite name='b'><testcase name='1'/></testsuite><testcase name='2'/></testsuite>"}, "b/1 passed, a/2 passed"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := readReports(bytes.NewReader(archiveOf(t, tt.files...)), "web")
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, one := range found {
				words = append(words, one.Suite+"/"+one.Name+" "+one.Outcome)
			}
			if got := strings.Join(words, ", "); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
	if found := parseJUnit(strings.NewReader("<testsuite>"+strings.Repeat("<testcase name='x'/>", 2*maxTests)), "", maxTests); len(found) != maxTests {
		t.Errorf("%d tests were read", len(found))
	}
}

// reporting is a builder whose test stage prints a secret and leaves a report.
type reporting struct {
	t    *testing.T
	jobs []buildkit.Job
	fail error
}

func (r *reporting) Solve(_ context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error) {
	r.jobs = append(r.jobs, job)
	if job.Archive != "" {
		return buildkit.Result{}, os.WriteFile(job.Archive, archiveOf(r.t, "junit.xml", someTests), 0o600)
	}
	on(buildkit.Event{Kind: buildkit.StepLog, Text: "connecting with hunter22"})
	if job.Target == StageTest {
		return buildkit.Result{}, r.fail
	}
	return buildkit.Result{Digest: "sha256:x"}, nil
}

func TestTestsThatFailLeaveTheirReportWithoutSecrets(t *testing.T) {
	b := newBench(t)
	r := &reporting{t: t, fail: agent.Errorf(agent.CodeBuildFailed, "see the log", "exit code 1 for hunter22")}
	b.m.cfg.Builder = r // nothing is at work
	b.submit("shop", agent.BuildRequest{Test: true, Reports: "reports", Secrets: map[string]string{"TOKEN": "hunter22"}, Args: map[string]string{"COLOR": "red"}, TestCommand: []string{"npm", "test"}, Apart: "pull-7", Only: true},
		"package.json", `{"scripts":{"start":"node x","test":"node test"}}`)
	done, log := b.end(1)
	if done.Status != agent.RunFailed || strings.Contains(done.Failure.Message, "hunter22") {
		t.Errorf("%+v %+v", done, done.Failure)
	}
	var said string
	for _, line := range log {
		said += line.Text + "\n"
	}
	if strings.Contains(said, "hunter22") || !strings.Contains(said, "connecting with ***") {
		t.Errorf("the log: %s", said)
	}
	tests, err := b.m.Tests(t.Context(), 1)
	if err != nil || len(tests) != 3 || tests[1].Outcome != agent.TestFailed || strings.Contains(tests[1].Message, "hunter22") {
		t.Errorf("%+v %v", tests, err)
	}
	if len(r.jobs) != 2 {
		t.Fatalf("%d jobs", len(r.jobs))
	}
	job, recipe := r.jobs[0], string(r.jobs[0].Dockerfile)
	if job.Mounts != "apart/shop/pull-7" || job.Apart != "pull-7" || string(job.Secrets["env.TOKEN"]) != "hunter22" || job.Args["COLOR"] != "red" {
		t.Errorf("%+v", job)
	}
	for _, want := range []string{"--mount=type=cache,id=hks-reports-1,target=reports", "--mount=type=secret,id=env.TOKEN,env=TOKEN", "ARG COLOR"} {
		if !strings.Contains(recipe, want) {
			t.Errorf("no %s in\n%s", want, recipe)
		}
	}
	if strings.Contains(recipe, "hunter22") || len(r.jobs[1].Secrets) > 0 {
		t.Error("the secret is in a recipe, or given to a step that does not need it")
	}
}
