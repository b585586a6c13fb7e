package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func TestValuesOfSet(t *testing.T) {
	for name, tt := range map[string]struct {
		set  []string
		want map[string]any
	}{
		"none":   {nil, map[string]any{}},
		"plain":  {[]string{"memory=512Mi", "cpu=1"}, map[string]any{"memory": "512Mi", "cpu": "1"}},
		"inside": {[]string{"settings.work_mem=16MB", "settings.jit=off"}, map[string]any{"settings": map[string]any{"work_mem": "16MB", "jit": "off"}}},
		"switch": {[]string{"on=true"}, map[string]any{"on": true}},
		"equals": {[]string{"a=b=c"}, map[string]any{"a": "b=c"}},
	} {
		if got, err := valuesOf(tt.set); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, set := range []string{"memory", "=x"} {
		if _, err := valuesOf([]string{set}); err == nil {
			t.Errorf("%q goes through", set)
		}
	}
}

func TestPackChart(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"Chart.yaml": "name: mine\n", "templates/a.yaml": "a: 1\n", ".git/config": "secret"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "passwords")); err != nil {
		t.Fatal(err)
	}
	packed, err := packChart(folder)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	if want := []string{"chart/Chart.yaml", "chart/templates/a.yaml"}; !slices.Equal(names, want) {
		t.Errorf("it holds %v, want %v", names, want)
	}
}
