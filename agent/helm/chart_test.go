package helm

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint/support"

	"hks.dev/hks/agent"
	"hks.dev/hks/charts"
)

var platform = map[string]any{"credentials": map[string]any{"secret": "db-credentials", "user": "app_1", "database": "app"}}

// TestChartsAreLinted runs helm lint over the charts as they are embedded.
func TestChartsAreLinted(t *testing.T) {
	for _, name := range charts.Names() {
		t.Run(name, func(t *testing.T) {
			files, _ := charts.Open(name)
			folder := filepath.Join(t.TempDir(), name)
			if err := os.CopyFS(folder, files); err != nil {
				t.Fatal(err)
			}
			lint := action.NewLint()
			lint.Strict = true
			for _, message := range lint.Run([]string{folder}, platform).Messages {
				if message.Severity > support.InfoSev {
					t.Error(message)
				}
			}
		})
	}
}

// render makes a chart's objects by kind.
func render(t *testing.T, chart *Chart, values map[string]any) map[string]map[string]any {
	t.Helper()
	all, err := chartutil.ToRenderValues(chart.loaded, values, chartutil.ReleaseOptions{Name: "db", Namespace: "dev-workspace", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := engine.Render(chart.loaded, all)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]map[string]any{}
	for file, text := range texts {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, text)
		}
		if kind, ok := object["kind"].(string); ok {
			objects[kind] = object
		}
	}
	return objects
}

func dig(object any, path ...string) any {
	for _, key := range path {
		switch at := object.(type) {
		case map[string]any:
			object = at[key]
		case []any:
			object = at[0].(map[string]any)[key]
		default:
			return nil
		}
	}
	return object
}

// TestChartsAreSafe holds every chart to what the platform promises of it.
func TestChartsAreSafe(t *testing.T) {
	for _, name := range charts.Names() {
		t.Run(name, func(t *testing.T) {
			files, _ := charts.Open(name)
			chart, err := Load(files)
			if err != nil {
				t.Fatal(err)
			}
			for _, note := range []string{"hks.dev/title", "hks.dev/engine", "hks.dev/port", "hks.dev/env", "hks.dev/client", "hks.dev/major"} {
				if note == "hks.dev/client" && slices.Contains([]string{"rabbitmq", "s3"}, name) {
					continue // no client of theirs takes its password from the environment; the address is printed
				}
				if chart.Annotation(note) == "" {
					t.Errorf("it has no %s", note)
				}
			}
			objects := render(t, chart, platform)
			for _, kind := range []string{"StatefulSet", "Service", "PersistentVolumeClaim", "NetworkPolicy", "Job"} {
				if objects[kind] == nil {
					t.Fatalf("it makes no %s", kind)
				}
			}
			if dig(objects["PersistentVolumeClaim"], "metadata", "annotations", "helm.sh/resource-policy") != "keep" {
				t.Error("its volume goes with the release")
			}
			for _, kind := range []string{"StatefulSet", "Job"} {
				pod := dig(objects[kind], "spec", "template", "spec")
				for path, want := range map[string]any{
					"securityContext.runAsNonRoot": true, "automountServiceAccountToken": false, "securityContext.seccompProfile.type": "RuntimeDefault",
					"containers.securityContext.readOnlyRootFilesystem": true, "containers.securityContext.allowPrivilegeEscalation": false,
				} {
					if got := dig(pod, strings.Split(path, ".")...); got != want {
						t.Errorf("%s: %s is %v", kind, path, got)
					}
				}
				image, _ := dig(pod, "containers", "image").(string)
				if !strings.HasPrefix(image, agent.RegistryHost+"/hks/") {
					t.Errorf("%s: the image is %q", kind, image)
				}
				if dig(pod, "containers", "resources", "limits", "memory") == nil {
					t.Errorf("%s has no memory limit", kind)
				}
			}
			for _, probe := range []string{"readinessProbe", "livenessProbe", "startupProbe"} {
				if dig(objects["StatefulSet"], "spec", "template", "spec", "containers", probe) == nil {
					t.Errorf("it has no %s", probe)
				}
			}
			var schema map[string]any
			if err := json.Unmarshal(chart.Schema(), &schema); err != nil || schema["additionalProperties"] != false {
				t.Errorf("its schema lets unknown values in: %v", err)
			}
		})
	}
}

func TestValuesAreRefusedInPlainWords(t *testing.T) {
	files, _ := charts.Open("postgresql")
	chart, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		return map[string]any{"credentials": platform["credentials"], name: value}
	}
	if err := chart.Check(with("settings", map[string]any{"work_mem": "16MB"})); err != nil {
		t.Errorf("good values: %v", err)
	}
	for name, tt := range map[string]struct {
		values map[string]any
		words  string
	}{
		"a wrong type":    {with("cpu", 2), "cpu: "},
		"a wrong size":    {with("memory", "much"), "memory: "},
		"an unknown one":  {with("memmory", "1Gi"), "memmory"},
		"one deep inside": {with("settings", map[string]any{"archive_command": "x"}), "settings"},
	} {
		t.Run(name, func(t *testing.T) {
			err := chart.Check(tt.values)
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != agent.CodeInvalid || !strings.Contains(e.Message, tt.words) || !strings.Contains(e.Fix, "hks market info postgresql") {
				t.Errorf("got %v", err)
			}
			if strings.Contains(e.Message, "\n") || strings.Contains(e.Message, "file://") {
				t.Errorf("not plain: %q", e.Message)
			}
		})
	}
}

func TestChartsThatCantBeUsed(t *testing.T) {
	good := "apiVersion: v2\nname: mine\nversion: 0.1.0\n"
	for name, tt := range map[string]struct {
		files fstest.MapFS
		words string
	}{
		"no Chart.yaml":  {fstest.MapFS{"values.yaml": {Data: []byte("a: 1")}}, "Chart.yaml"},
		"a library":      {fstest.MapFS{"Chart.yaml": {Data: []byte(good + "type: library\n")}}, "library"},
		"kinds":          {fstest.MapFS{"Chart.yaml": {Data: []byte(good)}, "crds/x.yaml": {Data: []byte("kind: CustomResourceDefinition\n")}}, "CRDs"},
		"a dependency":   {fstest.MapFS{"Chart.yaml": {Data: []byte(good + "dependencies: [{name: other, version: 1.0.0, repository: https://example.com}]\n")}}, "dependency other"},
		"far too large":  {fstest.MapFS{"Chart.yaml": {Data: []byte(good)}, "big": {Data: make([]byte, maxChart+1)}}, "larger"},
		"no name in it":  {fstest.MapFS{"Chart.yaml": {Data: []byte("apiVersion: v2\nversion: 0.1.0\n")}}, "name"},
		"not even a map": {fstest.MapFS{"Chart.yaml": {Data: []byte("- x\n")}}, "can't be used"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(tt.files)
			if e, ok := errors.AsType[*agent.Error](err); !ok || !strings.Contains(e.Message, tt.words) || e.Fix == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDiffTellsFields(t *testing.T) {
	read := func(text string) map[string]map[string]string {
		t.Helper()
		found, err := objects(text)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	before := read("kind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 1}]}\n---\nkind: Secret\nmetadata: {name: s}\ndata: {a: secret}\n---\nkind: Job\nmetadata: {name: old}\n")
	after := read("kind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 2}], type: ClusterIP}\n---\nkind: Secret\nmetadata: {name: s}\ndata: {a: other}\n")
	want := []agent.Change{
		{Component: "Job/old", Field: "object", From: "there"},
		{Component: "Service/db", Field: "spec.ports[0].port", From: "1", To: "2"},
		{Component: "Service/db", Field: "spec.type", To: "ClusterIP"},
	}
	if got := changes(before, after); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}
