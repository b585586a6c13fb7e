package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// shellDial bounds one connection to the cluster.
const shellDial = 5 * time.Second

// longestReason is how much of an app's trouble is told along.
const longestReason = 300

// ShellCluster is the connection to Kubernetes that sessions need: streams go
// past the typed client.
type ShellCluster interface {
	Interface() kubernetes.Interface
	REST() (*rest.Config, error)
}

// Lookup finds an app.
type Lookup interface {
	Get(ctx context.Context, app string, env agent.Environment) (agent.App, error)
}

// ShellConfig is what a Shell needs; all of it.
type ShellConfig struct {
	Cluster   ShellCluster
	Workspace Workspace
	Apps      Lookup
}

// Shell runs commands in instances of apps and connects to their ports. It is
// safe for concurrent use.
type Shell struct{ cfg ShellConfig }

// NewShell checks the settings.
func NewShell(cfg ShellConfig) (*Shell, error) {
	if cfg.Cluster == nil || cfg.Workspace == nil || cfg.Apps == nil {
		return nil, errors.New("the shell was not given all it needs")
	}
	return &Shell{cfg: cfg}, nil
}

// Find chooses the instance for a session: the one that is named, else a
// ready one of the release that serves.
func (s *Shell) Find(ctx context.Context, app string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	state, err := s.cfg.Apps.Get(ctx, app, env)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	namespace, err := s.namespace(ctx)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	selector := labels.Set{agent.LabelApp: app, agent.LabelEnvironment: string(env)}
	list, err := s.cfg.Cluster.Interface().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return agent.InstanceTarget{}, kube.Explain("looking for instances of "+app, err)
	}
	k := key{app, env}
	var pod *corev1.Pod
	if query.Instance != "" {
		pod, err = namedPod(k, list.Items, query)
	} else {
		pod, err = readyPod(k, list.Items, query, state)
	}
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	return targetOf(k, pod, query)
}

func (s *Shell) namespace(ctx context.Context) (string, error) {
	current, err := s.cfg.Workspace.Current(ctx)
	return current.Name, err
}

// namedPod finds the instance that the caller named. It need not be ready:
// one that does not get ready is what people want to look into.
func namedPod(k key, pods []corev1.Pod, query agent.InstanceQuery) (*corev1.Pod, error) {
	show := k.command("app show") + " lists them"
	for i := range pods {
		p := &pods[i]
		if p.Name != query.Instance || (query.Component != "" && p.Labels[agent.LabelComponent] != query.Component) {
			continue
		}
		if p.Status.Phase != corev1.PodRunning {
			return nil, agent.Errorf(agent.CodeConflict, "choose another instance; "+show,
				"the instance %s does not run: it is %s", p.Name, strings.ToLower(string(p.Status.Phase)))
		}
		return p, nil
	}
	return nil, agent.Errorf(agent.CodeNotFound, show, "%s has no instance %s", k.subject(), query.Instance)
}

// readyPod finds a ready instance, of the release that serves when there is one.
func readyPod(k key, pods []corev1.Pod, query agent.InstanceQuery, state agent.App) (*corev1.Pod, error) {
	var (
		found      *corev1.Pod
		components []string
	)
	for i := range pods {
		p := &pods[i]
		owner := metav1.GetControllerOf(p)
		if owner == nil || owner.Kind != "ReplicaSet" {
			continue // of a command that runs once
		}
		component := p.Labels[agent.LabelComponent]
		if !slices.Contains(components, component) {
			components = append(components, component)
		}
		if (query.Component != "" && component != query.Component) || p.DeletionTimestamp != nil || !podReady(p) {
			continue
		}
		if found == nil || (releaseOf(p.Labels) == state.Release && releaseOf(found.Labels) != state.Release) {
			found = p
		}
	}
	if found != nil {
		return found, nil
	}
	if query.Component != "" && len(components) > 0 && !slices.Contains(components, query.Component) {
		slices.Sort(components)
		return nil, agent.Errorf(agent.CodeNotFound, "name one of them with --component: "+strings.Join(components, ", "),
			"%s has no component %s", k.subject(), query.Component)
	}
	return nil, notReady(k, state)
}

// notReady says in which state the app is instead.
func notReady(k key, state agent.App) error {
	message := fmt.Sprintf("no instance of %s is ready: the app is %s", k.subject(), state.Status)
	if state.Reason != "" {
		message += " (" + cut(state.Reason, longestReason) + ")"
	}
	fix := "wait until it is running: " + k.command("app show")
	switch {
	case state.Status == agent.AppStopped || state.Status == agent.AppStopping:
		fix = k.command("app start")
	case state.Fix != "":
		fix = cut(state.Fix, longestReason)
	case state.Status == agent.AppError:
		fix = "see why: " + k.command("logs")
	}
	return &agent.Error{Code: agent.CodeConflict, Message: message, Fix: fix, Details: map[string]any{"status": state.Status}}
}

func targetOf(k key, pod *corev1.Pod, query agent.InstanceQuery) (agent.InstanceTarget, error) {
	component := pod.Labels[agent.LabelComponent]
	if len(pod.Spec.Containers) == 0 {
		return agent.InstanceTarget{}, fmt.Errorf("pod %s has no container", pod.Name)
	}
	container := pod.Spec.Containers[0] // the component's; a sidecar comes after it
	for _, c := range pod.Spec.Containers {
		if c.Name == component {
			container = c
		}
	}
	target := agent.InstanceTarget{Instance: pod.Name, Component: component, Container: container.Name, Port: query.Port}
	if target.Port == 0 && len(container.Ports) > 0 {
		target.Port = int(container.Ports[0].ContainerPort)
	}
	return target, nil
}

// stream returns the settings and the URL for a stream to an instance.
func (s *Shell) stream(ctx context.Context, instance, resource string, query url.Values) (*rest.Config, *url.URL, error) {
	namespace, err := s.namespace(ctx)
	if err != nil {
		return nil, nil, err
	}
	settings, err := s.cfg.Cluster.REST()
	if err != nil {
		return nil, nil, kube.Explain("connecting to "+instance, err)
	}
	settings.Dial = (&net.Dialer{Timeout: shellDial}).DialContext
	server, _, err := rest.DefaultServerUrlFor(settings)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's address: %w", err)
	}
	target := server.JoinPath("api", "v1", "namespaces", namespace, "pods", instance, resource)
	target.RawQuery = query.Encode()
	return settings, target, nil
}
