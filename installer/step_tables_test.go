package installer

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestA93PacketTablesOfIptablesGoWhenNobodyUsesThem(t *testing.T) {
	const empty = `{"chain":{"family":"ip","table":"nat","name":"POSTROUTING","policy":"accept"}}`
	tests := map[string]struct {
		before, after string // tables
		content       string
		removed       bool
	}{
		"made by iptables, empty":   {"", `{"table":{"family":"ip","name":"nat"}}`, empty, true},
		"was there before":          {`{"table":{"family":"ip","name":"nat"}}`, `{"table":{"family":"ip","name":"nat"}}`, empty, false},
		"gone already":              {"", "", "", false},
		"a rule of someone else":    {"", `{"table":{"family":"ip","name":"nat"}}`, empty + `,{"rule":{"chain":"POSTROUTING"}}`, false},
		"a chain of someone else":   {"", `{"table":{"family":"ip","name":"nat"}}`, `{"chain":{"name":"DOCKER"}}`, false},
		"a policy of someone else":  {"", `{"table":{"family":"ip","name":"nat"}}`, `{"chain":{"name":"INPUT","policy":"drop"}}`, false},
		"another family's one only": {"", `{"table":{"family":"inet","name":"nat"}}`, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j, err := OpenJournal(filepath.Join(t.TempDir(), "journal"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			tables, removed := tt.before, []string{}
			s := &tablesStep{journal: j, nft: func(_ context.Context, args ...string) ([]byte, error) {
				switch strings.Join(args, " ") {
				case "--json list tables":
					return []byte(`{"nftables":[{"metainfo":{}}` + comma(tables) + `]}`), nil
				case "--json list table ip nat":
					return []byte(`{"nftables":[` + strings.TrimPrefix(comma(tt.content), ",") + `]}`), nil
				}
				removed = append(removed, strings.Join(args, " "))
				return nil, nil
			}}
			changes, err := s.check(t.Context())
			if err != nil || len(changes) != len(packetTables) {
				t.Fatalf("changes %v, %v", changes, err)
			}
			for _, c := range changes {
				if err := j.Record(c); err != nil {
					t.Fatal(err)
				}
			}
			if again, err := s.check(t.Context()); err != nil || len(again) != 0 {
				t.Errorf("again: %v, %v", again, err)
			}
			tables = tt.after
			for _, c := range changes {
				if err := s.undo(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			if got := slices.Contains(removed, "delete table ip nat"); got != tt.removed || len(removed) > 1 {
				t.Errorf("removed %q, want it removed: %t", removed, tt.removed)
			}
		})
	}
	none := &tablesStep{nft: func(context.Context, ...string) ([]byte, error) { return nil, exec.ErrNotFound }}
	if err := none.undo(t.Context(), Change{Target: "ip nat"}); err != nil {
		t.Errorf("without nft: %v", err)
	}
}

func comma(text string) string {
	if text == "" {
		return ""
	}
	return "," + text
}
