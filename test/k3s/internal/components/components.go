// Package components holds the upstream programs that travel inside the stand-in; each runs as a process of its own.
package components

import (
	"context"
	"fmt"
	"os"

	containerd "github.com/containerd/containerd/v2/cmd/containerd/command"
	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins" // containerd's plugins
	_ "k8s.io/client-go/plugin/pkg/client/auth"                     // kubectl's credentials
	_ "k8s.io/component-base/logs/json/register"                    // JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo"           // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"            // version metric
)

// A Run runs a component with its arguments and returns the exit status.
type Run func(args []string) int

// Find returns the component of a name.
func Find(name string) (Run, bool) {
	run, ok := map[string]Run{
		"kube-apiserver":          command(apiserver.NewAPIServerCommand),
		"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
		"kube-proxy":              command(kubeproxy.NewProxyCommand),
		"kubectl":                 runKubectl,
		"containerd":              runContainerd,
		"ctr":                     runCtr,
	}[name]
	return run, ok
}

func command(build func() *cobra.Command) Run {
	return func(args []string) int {
		cmd := build()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	}
}

func runKubectl(args []string) int {
	setDefault("KUBECONFIG", "/etc/rancher/k3s/k3s.yaml")
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) //nolint:errcheck // as upstream does
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

func runContainerd(args []string) int {
	if err := containerd.App().Run(append([]string{"containerd"}, args...)); err != nil {
		fmt.Fprintln(os.Stderr, "containerd:", err)
		return 1
	}
	return 0
}

func runCtr(args []string) int {
	setDefault("CONTAINERD_ADDRESS", "/run/k3s/containerd/containerd.sock")
	setDefault("CONTAINERD_NAMESPACE", "k8s.io")
	if err := ctr.New().Run(append([]string{"ctr"}, args...)); err != nil {
		fmt.Fprintln(os.Stderr, "ctr:", err)
		return 1
	}
	return 0
}

// setDefault sets an environment variable unless it is set.
func setDefault(name, value string) {
	if os.Getenv(name) == "" {
		os.Setenv(name, value)
	}
}
