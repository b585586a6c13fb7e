package machine

import (
	"path/filepath"
	"testing"
)

func TestChanged(t *testing.T) {
	made := Identity{Node: "n", Host: "old", Address: "192.0.2.1"}
	for name, test := range map[string]struct {
		now  Identity
		want string
	}{
		"nothing":           {made, ""},
		"no network now":    {Identity{Host: "old"}, ""},
		"another address":   {Identity{Host: "old", Address: "192.0.2.9"}, "its address is 192.0.2.9 now, not 192.0.2.1"},
		"another name":      {Identity{Host: "new", Address: "192.0.2.1"}, "its name is new now, not old"},
		"both":              {Identity{Host: "new", Address: "192.0.2.9"}, "its address is 192.0.2.9 now, not 192.0.2.1, and its name is new now, not old"},
		"another node only": {Identity{Node: "x", Host: "old", Address: "192.0.2.1"}, ""},
	} {
		if got := made.Changed(test.now); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := (Identity{}).Changed(made); got != "" {
		t.Errorf("nothing recorded: %q", got)
	}
}

func TestNodeKeepsItsName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "machine.json")
	if got := NodeName("", file); got != "" {
		t.Errorf("before there is a cluster: %q", got)
	}
	if err := (Identity{Node: "first", Host: "other"}).Write(file); err != nil {
		t.Fatal(err)
	}
	if got := NodeName("", file); got != "first" {
		t.Errorf("%q", got)
	}
	if got := NodeName("set", file); got != "set" {
		t.Errorf("the setting: %q", got)
	}
	if i, err := Read(file); err != nil || i.Host != "other" {
		t.Errorf("%+v %v", i, err)
	}
}
