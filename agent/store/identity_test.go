package store

import (
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// clock is a time that tests move.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.Add(d.Milliseconds()) }

func openWithClock(t *testing.T) (*Store, *clock) {
	t.Helper()
	c := newClock()
	return openAt(t, filepath.Join(t.TempDir(), "hks.db"), c.now), c
}

func session(id string, at time.Time) Session {
	return Session{ID: id, CreatedAt: at, UsedAt: at, ExpiresAt: at.Add(24 * time.Hour)}
}

func TestA01SetupLinkWorksOnceAndExpires(t *testing.T) {
	s, c := openWithClock(t)
	first, second := []byte("first"), []byte("second")
	if err := s.SetUp(t.Context(), first, "hash", session("s", c.now()), []byte("c")); agent.CodeOf(err) != agent.CodeSetupLink {
		t.Errorf("set up without a link: %v", err)
	}
	for _, link := range [][]byte{first, second} {
		if err := s.PutSetupLink(t.Context(), link, c.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := s.SetupLink(t.Context(), first); ok || err != nil {
		t.Errorf("a replaced link is in force: %v", err)
	}
	expires, ok, err := s.SetupLink(t.Context(), second)
	if !ok || err != nil || !expires.Equal(c.now().Add(time.Hour)) {
		t.Errorf("the link: %s, %v, %v", expires, ok, err)
	}
	c.forward(time.Hour)
	if err := s.SetUp(t.Context(), second, "hash", session("s", c.now()), []byte("c")); agent.CodeOf(err) != agent.CodeSetupLink {
		t.Errorf("set up with an expired link: %v", err)
	}
	if owner, err := s.HasOwner(t.Context()); owner || err != nil {
		t.Fatalf("there is an owner: %v", err)
	}
	if err := s.PutSetupLink(t.Context(), first, c.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUp(t.Context(), first, "hash", session("s", c.now()), []byte("cookie")); err != nil {
		t.Fatal(err)
	}
	if hash, err := s.PasswordHash(t.Context()); hash != "hash" || err != nil {
		t.Errorf("the owner's hash is %q, %v", hash, err)
	}
	if got, ok, err := s.Session(t.Context(), []byte("cookie")); !ok || err != nil || got.ID != "s" {
		t.Errorf("the first session: %+v, %v, %v", got, ok, err)
	}
	if err := s.PutSetupLink(t.Context(), first, c.now().Add(time.Hour)); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("a link after the set-up: %v", err)
	}
	if err := s.SetUp(t.Context(), first, "other", session("z", c.now()), []byte("z")); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("a second set-up: %v", err)
	}
}

func TestA01OfTwoSetUpsOneWins(t *testing.T) {
	s, c := openWithClock(t)
	link := []byte("link")
	if err := s.PutSetupLink(t.Context(), link, c.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	const tries = 8
	var (
		won atomic.Int32
		all sync.WaitGroup
	)
	for i := range tries {
		all.Go(func() {
			id := strconv.Itoa(i)
			err := s.SetUp(t.Context(), link, "hash"+id, session(id, c.now()), []byte(id))
			switch code := agent.CodeOf(err); code {
			case "":
				won.Add(1)
			case agent.CodeConflict, agent.CodeSetupLink:
			default:
				t.Errorf("try %d: %v", i, err)
			}
		})
	}
	all.Wait()
	var sessions int
	if err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM session`).Scan(&sessions); err != nil {
		t.Fatal(err)
	}
	if won.Load() != 1 || sessions != 1 {
		t.Errorf("%d set-ups won and left %d sessions", won.Load(), sessions)
	}
}

func TestSessions(t *testing.T) {
	s, c := openWithClock(t)
	add := func(id, replaces string) {
		t.Helper()
		if err := s.AddSession(t.Context(), session(id, c.now()), []byte(id), replaces); err != nil {
			t.Fatal(err)
		}
	}
	has := func(id string) bool {
		t.Helper()
		_, ok, err := s.Session(t.Context(), []byte(id))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	add("a", "")
	add("b", "a")
	if has("a") || !has("b") {
		t.Error("a login did not take the old session's place")
	}
	c.forward(time.Minute)
	if err := s.TouchSession(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Session(t.Context(), []byte("b")); err != nil || !got.UsedAt.Equal(c.now()) {
		t.Errorf("used at %s, %v", got.UsedAt, err)
	}
	for i := range maxSessions {
		c.forward(time.Second)
		add("more"+strconv.Itoa(i), "")
	}
	if has("b") || !has("more0") {
		t.Error("the session used longest ago was not the one to go")
	}
	c.forward(25 * time.Hour)
	add("late", "")
	if has("more50") || !has("late") {
		t.Error("expired sessions are kept")
	}
	if err := s.RemoveSession(t.Context(), "late"); err != nil || has("late") {
		t.Errorf("the session was not removed: %v", err)
	}
}

func TestTokens(t *testing.T) {
	s, c := openWithClock(t)
	for i := range maxTokens {
		token := agent.Token{ID: "t" + strconv.Itoa(i), Name: "ci", CreatedAt: c.now().Add(time.Duration(i) * time.Second)}
		if err := s.AddToken(t.Context(), token, []byte(token.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddToken(t.Context(), agent.Token{ID: "x", Name: "x"}, []byte("x")); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("one token too many: %v", err)
	}
	tokens, err := s.Tokens(t.Context())
	if err != nil || len(tokens) != maxTokens || tokens[0].ID != "t99" {
		t.Fatalf("%d tokens, %v", len(tokens), err)
	}
	if slices.ContainsFunc(tokens, func(t agent.Token) bool { return t.Secret != "" }) {
		t.Error("a listed token holds a secret")
	}
	if err := s.TouchToken(t.Context(), "t5"); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.Token(t.Context(), []byte("t5"))
	if !ok || err != nil || got.ID != "t5" || !got.UsedAt.Equal(c.now()) || !got.ExpiresAt.IsZero() {
		t.Errorf("token %+v, %v, %v", got, ok, err)
	}
	for i, want := range []bool{true, false} {
		if found, err := s.RemoveToken(t.Context(), "t5"); found != want || err != nil {
			t.Errorf("removal %d: %v, %v", i+1, found, err)
		}
	}
	if _, ok, err := s.Token(t.Context(), []byte("t5")); ok || err != nil {
		t.Errorf("a revoked token is found: %v", err)
	}
}

func TestPasswordHashIsRenewedOnlyFromTheOneSeen(t *testing.T) {
	s, c := openWithClock(t)
	if err := s.PutSetupLink(t.Context(), []byte("l"), c.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUp(t.Context(), []byte("l"), "one", session("s", c.now()), []byte("c")); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ before, after, want string }{{"one", "two", "two"}, {"one", "three", "two"}} {
		if err := s.ReplacePasswordHash(t.Context(), step.before, step.after); err != nil {
			t.Fatal(err)
		}
		if hash, err := s.PasswordHash(t.Context()); hash != step.want || err != nil {
			t.Errorf("the hash is %q, want %q, %v", hash, step.want, err)
		}
	}
}
