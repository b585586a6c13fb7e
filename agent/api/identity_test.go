package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestA01SetupLinkMakesTheOwnerOnce(t *testing.T) {
	a := newAppliance(t)
	a.refuse(http.StatusConflict, agent.CodeSetupRequired, request{method: "POST", path: "/api/login", body: `{"password":"` + goodPassword + `"}`})
	link := a.link()
	if state := decodeAs[setupState](t, a.want(200, request{path: "/api/setup?token=" + link})); !state.Valid || !state.ExpiresAt.Equal(a.clock.now().Add(time.Hour)) {
		t.Errorf("the link's state: %+v", state)
	}
	if state := decodeAs[setupState](t, a.want(200, request{path: "/api/setup?token=forged"})); state.Valid {
		t.Error("a forged link is valid")
	}
	setUp := func(token, password string) request {
		return request{method: "POST", path: "/api/setup", body: `{"token":"` + token + `","password":"` + password + `"}`}
	}
	a.refuse(http.StatusGone, agent.CodeSetupLink, setUp("forged", goodPassword))
	for _, weak := range []string{"short", "password123", "aaaaaaaaaaaa", "1234567890", strings.Repeat("long", 300)} {
		if details := a.refuse(http.StatusBadRequest, agent.CodeInvalid, setUp(link, weak)).Details; details["field"] != "password" {
			t.Errorf("details for %q: %v", weak, details)
		}
	}
	w := a.want(http.StatusNoContent, setUp(link, goodPassword))
	cookie := w.Result().Cookies()[0]
	if cookie.Name != "hks_session" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("the cookie is %v", cookie)
	}
	who := decodeAs[agent.Identity](t, a.want(200, request{path: "/api/whoami", cookie: cookie.Value}))
	if who.Name != "owner" || who.Via != "session" {
		t.Errorf("whoami: %+v", who)
	}
	a.refuse(http.StatusGone, agent.CodeSetupLink, setUp(link, goodPassword))
	a.refuse(http.StatusConflict, agent.CodeConflict, request{method: "POST", path: "/api/setup-link", local: true})
	if info := decodeAs[agent.Info](t, a.want(200, request{path: "/api/info"})); !info.SetUp || info.Product != "hks" || info.Version != "1.2.3" {
		t.Errorf("info: %+v", info)
	}
}

func TestA01SetupLinkExpires(t *testing.T) {
	a := newAppliance(t)
	link := a.link()
	a.clock.forward(time.Hour)
	a.refuse(http.StatusGone, agent.CodeSetupLink, request{method: "POST", path: "/api/setup", body: `{"token":"` + link + `","password":"` + goodPassword + `"}`})
	if setUp := decodeAs[agent.Info](t, a.want(200, request{path: "/api/info"})).SetUp; setUp {
		t.Error("there is an owner")
	}
}

func TestA01ANewLinkReplacesTheOld(t *testing.T) {
	a := newAppliance(t)
	old, link := a.link(), a.link()
	if decodeAs[setupState](t, a.want(200, request{path: "/api/setup?token=" + old})).Valid {
		t.Error("the old link is valid")
	}
	if !decodeAs[setupState](t, a.want(200, request{path: "/api/setup?token=" + link})).Valid {
		t.Error("the new link is not valid")
	}
}

func TestA01ALinkUsedTwiceAtOnceMakesOneOwner(t *testing.T) {
	a := newAppliance(t)
	link := a.link()
	var (
		won atomic.Int32
		all sync.WaitGroup
	)
	for i := range 8 {
		all.Go(func() {
			w := a.do(request{method: "POST", path: "/api/setup", from: "192.0.2." + strconv.Itoa(i) + ":1", body: `{"token":"` + link + `","password":"` + goodPassword + `"}`})
			switch w.Code {
			case http.StatusNoContent:
				won.Add(1)
			case http.StatusConflict, http.StatusGone:
			default:
				t.Errorf("try %d: %d %s", i, w.Code, w.Body)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d set-ups won", won.Load())
	}
}

func TestA02FirstLoginMakesTheWorkspaceWithoutWaiting(t *testing.T) {
	a := newAppliance(t)
	a.workspaces.hold = make(chan struct{})
	a.setUp() // answers while Create still waits
	if made := a.workspaces.names(); len(made) != 0 {
		t.Fatalf("made already: %v", made)
	}
	close(a.workspaces.hold)
	a.work.Wait()
	if made := a.workspaces.names(); !slices.Equal(made, []string{"dev-workspace by owner"}) {
		t.Errorf("made: %v", made)
	}
	if w := a.login(request{}); w.Code != http.StatusNoContent {
		t.Fatal(w.Body)
	}
	a.work.Wait()
	if made := a.workspaces.names(); len(made) != 1 {
		t.Errorf("a second login made another: %v", made)
	}
}

func TestA05TheNextLoginContinues(t *testing.T) {
	a := newAppliance(t)
	a.workspaces.fail = errors.New("the cluster is away")
	a.setUp() // the browser never sees the answer
	a.work.Wait()
	a.workspaces.mu.Lock()
	a.workspaces.fail = nil
	a.workspaces.mu.Unlock()
	w := a.login(request{})
	if w.Code != http.StatusNoContent {
		t.Fatal(w.Body)
	}
	a.work.Wait()
	got := decodeAs[agent.Workspace](t, a.want(200, request{path: "/api/workspace", cookie: cookieOf(t, w)}))
	if got.Name != agent.DefaultWorkspace {
		t.Errorf("the workspace is %+v", got)
	}
}

func TestA07ASecondWorkspaceIsRefused(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.work.Wait()
	got := a.refuse(http.StatusForbidden, agent.CodePlanLimit, request{method: "POST", path: "/api/workspace", body: `{"name":"other"}`, cookie: cookie})
	if got.Details["limit"] != float64(1) {
		t.Errorf("the limit is not named: %+v", got)
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "PATCH", path: "/api/workspace", body: `{"name":"Not A Name"}`, cookie: cookie})
}

func TestA08TokensOfTheCommand(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{method: "POST", path: "/api/tokens/login", body: `{"password":"not the one","name":"laptop"}`})
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/tokens/login", body: `{"password":"` + goodPassword + `","name":""}`})
	token := decodeAs[agent.Token](t, a.want(http.StatusCreated, request{method: "POST", path: "/api/tokens/login", body: `{"password":"` + goodPassword + `","name":"laptop"}`}))
	if !strings.HasPrefix(token.Secret, "hks_") || len(token.Secret) != 4+secretDigits {
		t.Errorf("the secret is %q", token.Secret)
	}
	who := decodeAs[agent.Identity](t, a.want(200, request{path: "/api/whoami", bearer: token.Secret}))
	if who.Via != "token" || who.ID != token.ID {
		t.Errorf("whoami: %+v", who)
	}
	used := a.clock.now()
	a.clock.forward(30 * time.Second) // less than a minute: not recorded
	list := a.want(200, request{path: "/api/tokens", bearer: token.Secret})
	if strings.Contains(list.Body.String(), "secret") || strings.Contains(list.Body.String(), token.Secret) {
		t.Errorf("the list shows a secret: %s", list.Body)
	}
	if got := decodeAs[[]agent.Token](t, list); len(got) != 1 || !got[0].UsedAt.Equal(used) {
		t.Errorf("tokens: %+v, want used at %s", got, used)
	}
	a.want(http.StatusNoContent, request{method: "POST", path: "/api/logout", bearer: token.Secret})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", bearer: token.Secret})
}

func TestTokensAreMadeAndRevoked(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	token := decodeAs[agent.Token](t, a.want(http.StatusCreated, request{method: "POST", path: "/api/tokens", body: `{"name":"ci"}`, cookie: cookie}))
	a.want(http.StatusNoContent, request{method: "DELETE", path: "/api/tokens/" + token.ID, cookie: cookie})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{method: "DELETE", path: "/api/tokens/" + token.ID, cookie: cookie})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", bearer: token.Secret})
	for _, name := range []string{"", " x", "a\nb", strings.Repeat("x", 101)} {
		body, err := json.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/tokens", body: string(body), cookie: cookie})
	}
}

func TestAWrongTokenIsNotSavedByACookie(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", cookie: cookie, bearer: tokenPrefix + newSecret()})
}

func TestSessionsEnd(t *testing.T) {
	tests := map[string]struct {
		steps []time.Duration // a request after each
		alive bool
	}{
		"used now and then":    {[]time.Duration{6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour}, true},
		"idle for a week":      {[]time.Duration{7 * 24 * time.Hour}, false},
		"thirty days old":      {[]time.Duration{6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour, 6 * 24 * time.Hour}, false},
		"almost a week unused": {[]time.Duration{7*24*time.Hour - time.Second}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAppliance(t)
			cookie := a.setUp()
			status := 0
			for _, step := range tt.steps {
				a.clock.forward(step)
				status = a.do(request{path: "/api/whoami", cookie: cookie}).Code
			}
			if (status == http.StatusOK) != tt.alive {
				t.Errorf("status %d", status)
			}
		})
	}
}

func TestLoginRotatesAndLogoutEndsTheSession(t *testing.T) {
	a := newAppliance(t)
	first := a.setUp()
	second := cookieOf(t, a.login(request{cookie: first}))
	if first == second {
		t.Fatal("the session was not rotated")
	}
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", cookie: first})
	w := a.want(http.StatusNoContent, request{method: "POST", path: "/api/logout", cookie: second})
	if cookie := w.Result().Cookies()[0]; cookie.MaxAge >= 0 || cookie.Value != "" {
		t.Errorf("the cookie was not cleared: %v", cookie)
	}
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", cookie: second})
}

func TestSecretsAreKeptAsHashes(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	if _, ok, err := a.store.Session(t.Context(), []byte(cookie)); ok || err != nil {
		t.Errorf("the session is kept under its secret: %v", err)
	}
	if phc, err := a.store.PasswordHash(t.Context()); err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=") {
		t.Errorf("the password's hash is %q, %v", phc, err)
	}
}

func TestTheSocketIsRoot(t *testing.T) {
	a := newAppliance(t)
	who := decodeAs[agent.Identity](t, a.want(200, request{path: "/api/whoami", local: true, host: "anything"}))
	if who.Name != "root" || who.Via != "socket" {
		t.Errorf("whoami: %+v", who)
	}
	a.refuse(http.StatusConflict, agent.CodeConflict, request{method: "POST", path: "/api/logout", local: true})
}

func TestWrongPasswordsHaveToWait(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	wrong := request{method: "POST", path: "/api/login", body: `{"password":"not the one"}`}
	for range freeFailures {
		a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, wrong)
	}
	wait := func() int {
		t.Helper()
		w := a.login(request{}) // even the right one
		if w.Code != http.StatusTooManyRequests {
			t.Fatalf("not locked: %d %s", w.Code, w.Body)
		}
		seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if err != nil {
			t.Fatal(err)
		}
		return seconds
	}
	before := 0
	for range 3 {
		seconds := wait()
		if seconds < 2*before || seconds == 0 {
			t.Errorf("waits %d s after %d s", seconds, before)
		}
		before = seconds
		a.clock.forward(time.Duration(seconds) * time.Second)
		a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, wrong)
	}
	if w := a.login(request{from: "198.51.100.7:5"}); w.Code != http.StatusNoContent {
		t.Errorf("another address is locked out: %s", w.Body)
	}
	a.clock.forward(longestLockout)
	if w := a.login(request{}); w.Code != http.StatusNoContent {
		t.Errorf("the right password after the wait: %s", w.Body)
	}
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, wrong) // and the count began anew
	warnings := 0
	kept, err := a.store.Activities(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, activity := range kept {
		if activity.Level == "warning" {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings among %+v", warnings, kept)
	}
}

func TestAWrongPasswordCostsWhatARightOneDoes(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	phc, err := a.store.PasswordHash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Both go through the same derivation: there is no way around it.
	for password, want := range map[string]bool{goodPassword: true, "x": false, "": false, strings.Repeat("y", maxPasswordBytes): false} {
		made, salt, _, err := parsePHC(phc)
		if err != nil || made != a.auth.hasher.cost || len(salt) != saltBytes {
			t.Fatalf("%+v, %v", made, err)
		}
		if right, _, err := a.auth.hasher.check(t.Context(), phc, password); right != want || err != nil {
			t.Errorf("%q: %v, %v", password, right, err)
		}
	}
}

func TestAHashOfAnotherCostIsRenewedAtLogin(t *testing.T) {
	a := newAppliance(t)
	a.setUp()
	a.auth.hasher = newHasher(argonCost{memory: 128, time: 2, threads: 1})
	if w := a.login(request{}); w.Code != http.StatusNoContent {
		t.Fatal(w.Body)
	}
	if phc, err := a.store.PasswordHash(t.Context()); err != nil || !strings.Contains(phc, "m=128,t=2,p=1") {
		t.Errorf("the hash is %q, %v", phc, err)
	}
	if w := a.login(request{}); w.Code != http.StatusNoContent {
		t.Error(w.Body)
	}
}

func TestTheSetupLinkIsForRootOnly(t *testing.T) {
	a := newAppliance(t)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	link := decodeAs[setupLink](t, a.want(200, request{method: "POST", path: "/api/setup-link", local: true}))
	target, err := url.Parse(link.URL)
	if err != nil || target.Scheme != "https" || target.Hostname() != "hks.example.com" || target.Path != "/setup" || target.Query().Get("token") == "" {
		t.Errorf("the link is %s, %v", link.URL, err)
	}
}
