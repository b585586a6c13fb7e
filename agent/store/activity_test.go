package store

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hks.dev/hks/agent"
)

func TestActivitiesAreBounded(t *testing.T) {
	s := open(t)
	_, err := s.db.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO activity (at, level, subject, message) SELECT i, 'info', 'x', 'line ' || i FROM n`, maxActivities)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "warning", Subject: "web/staging", Message: "newest", By: "owner"}); err != nil {
		t.Fatal(err)
	}
	kept, err := s.Activities(t.Context(), 2*maxActivities)
	if err != nil || len(kept) != maxActivities {
		t.Fatalf("%d lines kept, %v", len(kept), err)
	}
	if kept[0].Message != "newest" || kept[0].By != "owner" || kept[len(kept)-1].Message != "line 2" {
		t.Errorf("newest %+v, oldest %+v", kept[0], kept[len(kept)-1])
	}
}

func TestALongActivityIsCutWithinACharacter(t *testing.T) {
	s := open(t)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	kept, err := s.AddActivity(t.Context(), agent.Activity{Time: now, Level: "info", Message: strings.Repeat("€", maxActivityBytes)})
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.Message) > maxActivityBytes+len("…") || !utf8.ValidString(kept.Message) || !kept.Time.Equal(now) {
		t.Errorf("kept %d bytes at %s", len(kept.Message), kept.Time)
	}
}
