package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
)

// Domains is the owner's custom domains.
type Domains interface {
	Add(ctx context.Context, app string, env agent.Environment, component, host, by string) (agent.Domain, error)
	List(ctx context.Context, app string, env agent.Environment) ([]agent.Domain, error)
	Get(ctx context.Context, host string) (agent.Domain, error)
	Check(ctx context.Context, host string) (agent.Domain, error)
	Retry(ctx context.Context, host string, anyway bool, by string) (agent.Domain, error)
	SetCertificate(ctx context.Context, host, chain, key, by string) (agent.Domain, error)
	Remove(ctx context.Context, host, by string) error
}

// Maintenance turns the maintenance pages of applications on and off.
type Maintenance interface {
	SetMaintenance(ctx context.Context, app string, env agent.Environment, on bool, message, by string) (agent.App, error)
}

func (s *Server) domainRoutes() []route {
	const app, domain = "/api/apps/:app/:env", "/api/domains/:host"
	var routes []route
	if s.cfg.Maintenance != nil {
		routes = append(routes, route{http.MethodPost, app + "/maintenance", owner, plain, s.postMaintenance})
	}
	if s.cfg.Domains == nil {
		return routes
	}
	return append(routes,
		route{http.MethodPost, app + "/domains", owner, plain, s.postDomain},
		route{http.MethodGet, "/api/domains", owner, plain, s.getDomains},
		route{http.MethodGet, domain, owner, plain, s.getDomain},
		route{http.MethodDelete, domain, owner, plain, s.deleteDomain},
		route{http.MethodPost, domain + "/check", owner, plain, s.postDomainCheck},
		route{http.MethodPost, domain + "/retry", owner, plain, s.postDomainRetry},
		route{http.MethodPut, domain + "/certificate", owner, plain, s.putDomainCertificate},
		route{http.MethodDelete, domain + "/certificate", owner, plain, s.deleteDomainCertificate},
	)
}

func (s *Server) postMaintenance(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in struct {
		On      *bool  `json:"on"`
		Message string `json:"message"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.On == nil {
		return &agent.Error{Code: agent.CodeInvalid, Message: "it is not said whether the page is to be on", Fix: "send on: true or false", Details: map[string]any{"field": "on"}}
	}
	app, err := s.cfg.Maintenance.SetMaintenance(c.Request.Context(), name, env, *in.On, in.Message, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, app)
}

func (s *Server) postDomain(c *gin.Context) error {
	name, env, err := target(c)
	if err != nil {
		return err
	}
	var in struct {
		Host      string `json:"host"`
		Component string `json:"component"` // empty: all routes of the app
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	d, err := s.cfg.Domains.Add(c.Request.Context(), name, env, in.Component, in.Host, identityOf(c).Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, d)
}

func (s *Server) getDomains(c *gin.Context) error {
	app, env := c.Query("app"), agent.Environment(c.Query("environment"))
	if app != "" {
		if err := agent.ValidateName("app", app); err != nil {
			return err
		}
	}
	if env != "" {
		if _, err := agent.ParseEnvironment(string(env)); err != nil {
			return err
		}
	}
	domains, err := s.cfg.Domains.List(c.Request.Context(), app, env)
	if err != nil {
		return err
	}
	return answerList(c, http.StatusOK, domains)
}

func (s *Server) getDomain(c *gin.Context) error {
	return answerDomain(c)(s.cfg.Domains.Get(c.Request.Context(), c.Param("host")))
}

func (s *Server) postDomainCheck(c *gin.Context) error {
	return answerDomain(c)(s.cfg.Domains.Check(c.Request.Context(), c.Param("host")))
}

func (s *Server) postDomainRetry(c *gin.Context) error {
	anyway, err := queryBool(c, "anyway")
	if err != nil {
		return err
	}
	return answerDomain(c)(s.cfg.Domains.Retry(c.Request.Context(), c.Param("host"), anyway, identityOf(c).Name))
}

func (s *Server) putDomainCertificate(c *gin.Context) error {
	var in struct {
		Certificate string `json:"certificate"` // PEM, the leaf first, then its chain
		Key         string `json:"key"`         // PEM
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Certificate == "" || in.Key == "" {
		return &agent.Error{Code: agent.CodeInvalid, Message: "certificate or key is missing", Fix: "give both as PEM: hks domains cert HOST --cert FILE --key FILE", Details: map[string]any{"field": "certificate"}}
	}
	return answerDomain(c)(s.cfg.Domains.SetCertificate(c.Request.Context(), c.Param("host"), in.Certificate, in.Key, identityOf(c).Name))
}

func (s *Server) deleteDomainCertificate(c *gin.Context) error {
	return answerDomain(c)(s.cfg.Domains.SetCertificate(c.Request.Context(), c.Param("host"), "", "", identityOf(c).Name))
}

func (s *Server) deleteDomain(c *gin.Context) error {
	if err := s.cfg.Domains.Remove(c.Request.Context(), c.Param("host"), identityOf(c).Name); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func answerDomain(c *gin.Context) func(agent.Domain, error) error {
	return func(d agent.Domain, err error) error {
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, d)
	}
}
