// Command k3s is a stand-in for the released k3s binary: upstream Kubernetes behind the part of k3s's command line and
// file layout that hks uses. See the README of this module.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"hks.dev/hks/test/k3s/internal/components"
	"hks.dev/hks/test/k3s/internal/payload"
	"hks.dev/hks/test/k3s/internal/server"
	"hks.dev/hks/test/k3s/internal/settings"
)

const usage = `k3s (stand-in): upstream Kubernetes behind k3s's command line, for tests

  k3s server [flags]          run a server (control plane and node)
  k3s agent [flags]           run a node of another server
  k3s token create|list|delete
  k3s kubectl ...             Kubernetes's own client, as administrator
  k3s ctr ...                 containerd's own client
  k3s --version
`

func main() {
	// The binary starts itself again for each component, under the component's name.
	if run, ok := components.Find(filepath.Base(os.Args[0])); ok {
		os.Exit(run(os.Args[1:]))
	}
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "k3s:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 0 {
		fmt.Print(usage)
		return nil
	}
	switch cmd, rest := args[0], args[1:]; cmd {
	case "server", "agent":
		if cmd == "server" && len(rest) > 0 && rest[0] == "--version" {
			return version()
		}
		cfg, err := settings.Load(settings.Role(cmd), rest, os.Getenv)
		if err != nil {
			return err
		}
		return server.Run(cfg)
	case "token":
		return server.Token(rest, os.Stdout)
	case "kubectl", "ctr":
		run, _ := components.Find(cmd)
		os.Args = append([]string{cmd}, rest...)
		os.Exit(run(rest))
		return nil
	case "-v", "--version", "version":
		return version()
	case "-h", "--help", "help":
		fmt.Print(usage)
		return nil
	default:
		return fmt.Errorf("unknown command %q; the commands are server, agent, token, kubectl and ctr", cmd)
	}
}

func version() error {
	fmt.Printf("k3s version %s (stand-in)\ngo version %s\n", payload.Version, payload.GoVersion())
	return nil
}
