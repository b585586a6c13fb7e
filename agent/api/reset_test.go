package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func (a *appliance) resetLink(body string) string {
	a.t.Helper()
	made := decodeAs[setupLink](a.t, a.want(200, request{method: "POST", path: "/api/password-link", body: body, local: true}))
	u, err := url.Parse(made.URL)
	if err != nil || u.Path != "/setup" {
		a.t.Fatalf("the link %s: %v", made.URL, err)
	}
	return u.Query().Get("token")
}

func TestPasswordIsSetAnewByALinkFromTheMachine(t *testing.T) {
	const another = "a donkey under the sun"
	a := newAppliance(t)
	a.refuse(http.StatusConflict, agent.CodeSetupRequired, request{method: "POST", path: "/api/password-link", body: "{}", local: true})
	cookie := a.setUp()
	a.refuse(http.StatusForbidden, agent.CodeForbidden, request{method: "POST", path: "/api/password-link", body: "{}", cookie: cookie})
	token := decodeAs[agent.Token](t, a.want(201, request{method: "POST", path: "/api/tokens", body: `{"name":"laptop"}`, cookie: cookie})).Secret

	old, link := a.resetLink("{}"), a.resetLink("{}")
	use := func(link string) request {
		return request{method: "POST", path: "/api/setup", body: `{"token":"` + link + `","password":"` + another + `"}`}
	}
	a.refuse(http.StatusGone, agent.CodeSetupLink, use(old))
	a.want(200, request{path: "/api/whoami", cookie: cookie}) // nothing has changed yet
	a.want(http.StatusNoContent, use(link))
	a.refuse(http.StatusGone, agent.CodeSetupLink, use(link))
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", cookie: cookie})
	a.want(200, request{path: "/api/whoami", bearer: token})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{method: "POST", path: "/api/login", body: `{"password":"` + goodPassword + `"}`})
	a.clock.forward(time.Minute) // a wrong password has to wait
	a.want(http.StatusNoContent, request{method: "POST", path: "/api/login", body: `{"password":"` + another + `"}`})

	a.resetLink(`{"revokeTokens":true}`)
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", bearer: token})
	activities, err := a.store.Activities(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, activity := range activities {
		told = append(told, activity.Message)
	}
	for _, part := range []string{"link to set the owner's password anew was made", "the owner's password was set anew", "all API tokens were revoked"} {
		if !strings.Contains(strings.Join(told, "\n"), part) {
			t.Errorf("the activities %q lack %q", told, part)
		}
	}
}
