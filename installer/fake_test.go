package installer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/store"
)

// The test binary is also the programs that are installed: it is one when it
// is called by its name.
func TestMain(m *testing.M) {
	var err error
	switch filepath.Base(os.Args[0]) {
	case "hks-agent":
		err = fakeAgent()
	case "k3s", "hks-gateway":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// fakeMark stands at the end of the file of a fake agent that is of another
// version, with the version and how it behaves.
const fakeMark = "\nA FAKE OF HKS "

func fakeVersion() (version, mode string) {
	version = "v0.0.0-test"
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return version, ""
	}
	end := data[max(0, len(data)-100):]
	if at := bytes.LastIndex(end, []byte(fakeMark)); at >= 0 {
		version, mode, _ = strings.Cut(strings.TrimSpace(string(end[at+len(fakeMark):])), " ")
	}
	return version, mode
}

// fakeWork writes a line of what happened into the agent's database.
func fakeWork(root, message string) error {
	settings := config.Default(root)
	s, err := store.New(store.Config{Path: settings.Paths().State("hks.db"), Key: make([]byte, 32)})
	if err != nil {
		return err
	}
	if err := s.Open(context.Background()); err != nil {
		return err
	}
	_, err = s.AddActivity(context.Background(), agent.Activity{Level: "info", Subject: "test", Message: message})
	return errors.Join(err, s.Close())
}

// fakeAgent starts a k3s and a gateway that outlive it, and answers the four
// questions of an installer. The domain says how it behaves.
func fakeAgent() error {
	version, mode := fakeVersion()
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(version)
		return nil
	}
	if mode == "writes" { // and is no good
		if err := fakeWork(os.Args[2], "the new version was here"); err != nil {
			return err
		}
	}
	if mode != "" {
		return fmt.Errorf("the new valve is stuck")
	}
	if len(os.Args) != 3 || os.Args[1] != "--root" {
		return fmt.Errorf("unexpected arguments %q", os.Args[1:])
	}
	settings, err := config.Load(os.Args[2], func(string) string { return "" })
	if err != nil {
		return err
	}
	if settings.Domain == "broken.example" {
		return fmt.Errorf("the flux valve is stuck")
	}
	paths := settings.Paths()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	for _, name := range []string{"k3s", "gateway"} {
		program := map[string]string{"k3s": "k3s", "gateway": "hks-gateway"}[name]
		r, err := process.New(process.Config{
			Name: name, Command: []string{paths.Bin(program), "server"}, PIDFile: paths.Run(name + ".pid"),
			Log: process.Log{Path: paths.Logs(name + ".log")},
		})
		if err != nil {
			return err
		}
		if err := r.Start(ctx); err != nil {
			return err
		}
	}
	_ = os.Remove(paths.AgentSocket()) // of an agent that was killed
	listener, err := net.Listen("unix", paths.AgentSocket())
	if err != nil {
		return err
	}
	began := time.Now()
	mux := http.NewServeMux()
	answer := func(pattern string, value func() any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value())
		})
	}
	answer("GET /api/system", func() any {
		healthy := time.Since(began) > time.Second && settings.Domain != "slow.example"
		part := agent.Part{Name: "engine", Healthy: healthy, Version: "v1.36.2+k3s1"}
		if !healthy {
			part.Message = "waiting for the node box"
		}
		return agent.System{Parts: []agent.Part{part}}
	})
	answer("GET /api/info", func() any {
		return agent.Info{Version: version, Fingerprint: "SHA256:ab12", SetUp: settings.Domain == "owned.example"}
	})
	answer("GET /api/apps", func() any { return []agent.App{} })
	answer("POST /api/setup-link", func() any {
		return client.SetupLink{URL: "https://localhost:8443/setup?token=once", ExpiresAt: time.Now().Add(time.Hour)}
	})
	go func() { <-ctx.Done(); os.Exit(0) }()
	return http.Serve(listener, mux)
}
