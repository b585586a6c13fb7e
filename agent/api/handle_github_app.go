package api

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

func (s *Server) postGitHubApp(c *gin.Context) error {
	var start agent.GitHubAppStart
	if err := decode(c, &start); err != nil {
		return err
	}
	form, err := s.cfg.Pipelines.StartApp(c.Request.Context(), start, identityOf(c).Name)
	return answering(c, http.StatusCreated)(form, err)
}

func (s *Server) postGitHubAppCheck(c *gin.Context) error {
	var request struct {
		Account string `json:"account"`
	}
	if err := decode(c, &request); err != nil {
		return err
	}
	g, err := s.cfg.Pipelines.CheckApp(c.Request.Context(), request.Account, identityOf(c).Name)
	return answering(c, http.StatusOK)(g, err)
}

// appPage posts the manifest to GitHub. GitHub takes it from a form of a page
// only; it has no script, and its policy lets it post to that GitHub alone.
var appPage = template.Must(template.New("app").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Make a GitHub App</title></head>
<body><main><h1>Make a GitHub App</h1>
<p>GitHub asks you for the App's name, makes it, and sends you back here. The App can read the repositories that you let it into,
set commit statuses, deployments and webhooks there, and nothing else.</p>
<form method="post" action="{{.Action}}"><input type="hidden" name="manifest" value="{{.Manifest}}"><button type="submit">Go on to GitHub</button></form>
<p>Asked for at {{.Host}}.</p></main></body></html>
`))

func (s *Server) getGitHubAppForm(c *gin.Context) error {
	form, err := s.cfg.Pipelines.AppForm(c.Request.Context(), c.Query("state"))
	if err != nil {
		return err
	}
	action, err := url.Parse(form.Action)
	if err != nil {
		return fmt.Errorf("reading GitHub's address: %w", err)
	}
	var page bytes.Buffer
	if err := appPage.Execute(&page, map[string]string{"Action": form.Action, "Manifest": form.Manifest, "Host": action.Host}); err != nil {
		return fmt.Errorf("writing the App's page: %w", err)
	}
	c.Header("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action "+action.Scheme+"://"+action.Host)
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
	return nil
}

func (s *Server) getGitHubAppCallback(c *gin.Context) error {
	if _, err := s.cfg.Pipelines.FinishApp(c.Request.Context(), c.Query("state"), c.Query("code")); err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	c.Redirect(http.StatusSeeOther, "/pipelines")
	return nil
}
