package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddypki"

	// the modules that the settings name; no others are linked in
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
)

// Settings of the proxy that are not for users to choose.
const (
	// upstreamIdle is shorter than the keep-alive of common servers (gunicorn
	// 2 s, Node.js and uvicorn 5 s), so that the gateway and not the app ends
	// an idle connection: a request never meets a connection that just closed.
	upstreamIdle = 1500 * time.Millisecond

	// upstreamPool is how many idle connections are kept to an endpoint.
	upstreamPool = 512

	readHeaderTimeout = 10 * time.Second
	clientIdle        = 5 * time.Minute
	maxHeaderBytes    = 64 << 10
	accessLogMB       = 20 // a file; so many again are kept
	accessLogKeep     = 5
)

type object = map[string]any

// caddyConfig is Caddy's settings. They stay as they are while the process
// lives: what changes is in the router, which the modules read.
func (g *Gateway) caddyConfig() ([]byte, error) {
	proxy := []any{
		object{"handler": "hks_route"},
		object{
			"handler":           "reverse_proxy",
			"dynamic_upstreams": object{"source": "hks"},
			"load_balancing":    object{"selection_policy": object{"policy": "first"}},
			"transport": object{
				"protocol":      "hks",
				"versions":      []string{"1.1"},
				"compression":   false,
				"dial_timeout":  g.cfg.Dial,
				"network_proxy": object{"from": "none"},
				"keep_alive": object{
					"max_idle_conns_per_host": upstreamPool,
					"idle_timeout":            upstreamIdle,
				},
			},
		},
	}
	server := func(listen string, more object) object {
		if file, held := g.inherited("tcp", listen); held {
			listen = fmt.Sprintf("fd/%d", file.Fd())
		}
		s := object{
			"listen":              []string{listen},
			"routes":              []any{object{"handle": proxy}},
			"automatic_https":     object{"disable": true},
			"read_header_timeout": readHeaderTimeout,
			"idle_timeout":        clientIdle,
			"max_header_bytes":    maxHeaderBytes,
		}
		maps.Copy(s, more)
		return s
	}
	return json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": g.caddyLogging(),
		"storage": object{"module": "file_system", "root": filepath.Join(g.cfg.State, "caddy")},
		"apps": object{
			"hks":              object{"id": g.id},
			"hks_certificates": object{},
			"http": object{
				"grace_period": g.cfg.Drain,
				"servers": object{
					"http": server(g.cfg.HTTP, object{"protocols": []string{"h1"}}),
					"https": server(g.cfg.HTTPS, object{
						"protocols":               []string{"h1", "h2"},
						"tls_connection_policies": []any{object{}},
					}),
				},
			},
			"pki": object{"certificate_authorities": object{caddypki.DefaultCAID: object{
				"name":                     "hks local authority",
				"root_common_name":         "hks local authority",
				"intermediate_common_name": "hks local authority, intermediate",
				"install_trust":            false,
			}}},
			"tls": object{"automation": object{
				"on_demand": object{"permission": object{"module": "hks"}},
				"policies": []any{object{
					"on_demand": true,
					"issuers":   []any{object{"module": "internal"}},
				}},
			}},
		},
	})
}

// caddyLogging sends the access log to its file and the rest to stderr. The
// proxy's own log is off: it would encode every request for lines that are
// never written, and hks_route logs what comes of each.
func (g *Gateway) caddyLogging() object {
	const access, proxy = "http.handlers.hks_route", "http.handlers.reverse_proxy"
	format := "json"
	if g.cfg.LogFormat != "json" {
		format = "console"
	}
	logs := object{"default": object{
		"writer":  object{"output": "stderr"},
		"encoder": object{"format": format, "time_format": "rfc3339_nano", "level_format": "upper"},
		"level":   g.cfg.LogLevel,
		"exclude": []string{access, proxy},
	}}
	if g.cfg.AccessLog != "" {
		logs["access"] = object{
			"writer": object{
				"output": "hks_file", "filename": g.cfg.AccessLog, "mode": "0640", "dir_mode": "0750",
				"roll_size_mb": accessLogMB, "roll_keep": accessLogKeep,
			},
			"encoder": object{"format": "json", "time_format": "rfc3339_nano", "message_key": "", "level_key": "", "name_key": ""},
			"include": []string{access},
		}
	}
	return object{"logs": logs}
}

// runCaddy starts the servers. Caddy runs one configuration in a process.
func (g *Gateway) runCaddy() error {
	config, err := g.caddyConfig()
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}
