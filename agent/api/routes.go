package api

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// access says who may use a route. The zero value lets nobody in.
type access int

const (
	denied     access = iota
	public            // anyone
	owner             // the owner, by session or token, and root on the socket
	socketOnly        // root on the socket
	joiner            // a machine with an invitation
)

// shape says how long a request may take and how large its body may be.
type shape int

const (
	plain   shape = iota // JSON in, JSON out
	slow                 // the same, for what takes minutes
	stream               // an event stream
	upload               // a large body
	session              // a WebSocket
	hook                 // a webhook, from anyone
)

// route is one line of the table: every path of the API is in it.
type route struct {
	method, path string
	access       access
	shape        shape
	handle       func(*gin.Context) error
}

func (s *Server) routes() []route {
	const app = "/api/apps/:app/:env"
	return slices.Concat(
		s.nodeRoutes(),
		s.planRoutes(),
		s.domainRoutes(),
		s.cronRoutes(),
		s.incidentRoutes(),
		s.channelRoutes(),
		s.volumeRoutes(),
		s.pipelineRoutes(),
		s.functionRoutes(),
		s.applianceRoutes(),
		s.auditRoutes(),
		s.sessionRoutes(),
		s.marketRoutes(), []route{
			{http.MethodGet, "/healthz", public, plain, s.healthz},
			{http.MethodGet, "/api/info", public, plain, s.getInfo},
			{http.MethodGet, "/ca.crt", public, plain, s.getRootCA},
			{http.MethodGet, "/api/setup", public, plain, s.getSetup},
			{http.MethodPost, "/api/setup", public, plain, s.postSetup},
			{http.MethodPost, "/api/login", public, plain, s.postLogin},
			{http.MethodPost, "/api/tokens/login", public, plain, s.postTokenLogin},

			{http.MethodPost, "/api/setup-link", socketOnly, plain, s.postSetupLink},
			{http.MethodPost, "/api/password-link", socketOnly, plain, s.postPasswordLink},

			{http.MethodPost, "/api/logout", owner, plain, s.postLogout},
			{http.MethodGet, "/api/whoami", owner, plain, s.getWhoami},
			{http.MethodGet, "/api/tokens", owner, plain, s.getTokens},
			{http.MethodPost, "/api/tokens", owner, plain, s.postToken},
			{http.MethodDelete, "/api/tokens/:id", owner, plain, s.deleteToken},

			{http.MethodGet, "/api/workspace", owner, plain, s.getWorkspace},
			{http.MethodPost, "/api/workspace", owner, plain, s.postWorkspace},
			{http.MethodPatch, "/api/workspace", owner, plain, s.patchWorkspace},
			{http.MethodGet, "/api/workspace/kubeconfig", owner, plain, s.getKubeconfig},

			{http.MethodGet, "/api/apps", owner, plain, s.getApps},
			{http.MethodGet, app, owner, plain, s.getApp},
			{http.MethodDelete, app, owner, plain, s.deleteApp},
			{http.MethodGet, app + "/releases", owner, plain, s.getReleases},
			{http.MethodPost, app + "/releases", owner, plain, s.postRelease},
			{http.MethodGet, app + "/releases/:number", owner, plain, s.getRelease},
			{http.MethodGet, app + "/releases/:number/progress", owner, stream, s.getProgress},
			{http.MethodPost, app + "/rollback", owner, plain, s.postRollback},
			{http.MethodPost, app + "/promote", owner, plain, s.postPromote},
			{http.MethodPost, app + "/move", owner, plain, s.postMove},
			{http.MethodPost, app + "/move/plan", owner, plain, s.postMovePlan},
			{http.MethodPost, app + "/diff", owner, plain, s.postDiff},
			{http.MethodPost, app + "/restart", owner, plain, s.changeApp(s.cfg.Apps.RestartApp)},
			{http.MethodPost, app + "/stop", owner, plain, s.changeApp(s.cfg.Apps.StopApp)},
			{http.MethodPost, app + "/start", owner, plain, s.changeApp(s.cfg.Apps.StartApp)},
			{http.MethodPost, app + "/scale", owner, plain, s.postScale},
			{http.MethodGet, app + "/logs", owner, stream, s.getLogs},
			{http.MethodGet, app + "/metrics", owner, plain, s.getSeries},
			{http.MethodGet, app + "/exec", owner, session, s.getExec},
			{http.MethodGet, app + "/port-forward", owner, session, s.getPortForward},

			{http.MethodPost, app + "/builds", owner, upload, s.postBuild},
			{http.MethodGet, "/api/builds", owner, plain, s.getBuilds},
			{http.MethodGet, "/api/builds/cache", owner, slow, s.getBuildCache},
			{http.MethodDelete, "/api/builds/cache", owner, slow, s.deleteBuildCache},
			{http.MethodGet, "/api/builds/:build", owner, plain, s.getBuild},
			{http.MethodGet, "/api/builds/:build/log", owner, stream, s.getBuildLog},
			{http.MethodPost, "/api/builds/:build/cancel", owner, plain, s.postBuildCancel},

			{http.MethodGet, "/api/images", owner, plain, s.getImages},
			{http.MethodPost, "/api/images", owner, upload, s.postImage},
			{http.MethodGet, "/api/images/usage", owner, plain, s.getImageUsage},
			{http.MethodPost, "/api/images/prune", owner, slow, s.postImagePrune},
			{http.MethodDelete, "/api/images/*name", owner, slow, s.deleteImage}, // a name has slashes

			{http.MethodGet, "/api/activity", owner, plain, s.getActivity},
			{http.MethodGet, "/api/events", owner, stream, s.getEvents},
			{http.MethodGet, "/api/system", owner, plain, s.getSystem},
			{http.MethodGet, "/metrics", owner, plain, s.getMetrics},
		})
}

func (s *Server) newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // the other modes print to standard output
	engine := gin.New()
	engine.RedirectTrailingSlash = false
	engine.ForwardedByClientIP = false // nobody stands in front of us
	engine.Use(s.observe, s.answerErrors, guard(setDeadlines), guard(s.secure), guard(s.checkHost), guard(newCrossOrigin().check))
	for _, r := range s.routes() {
		engine.Handle(r.method, r.path, guard(s.admit(r.access)), guard(s.bound(r.shape)), guard(r.handle))
	}
	engine.NoRoute(guard(s.elsewhere))
	return engine
}

// guard makes a gin handler of one that returns its error.
func guard(handle func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handle(c); err != nil {
			_ = c.Error(err) // kept for answerErrors
			c.Abort()
		}
	}
}

// routeOf is the route's template, for logs and metrics.
func routeOf(c *gin.Context) string {
	if path := c.FullPath(); path != "" {
		return path
	}
	return "other"
}
