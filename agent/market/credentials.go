package market

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// The keys of a service's Secret. Those that begin with next are there while
// credentials are being rotated.
const (
	keyUser         = "user"
	keyPassword     = "password"
	keyNextUser     = "next-user"
	keyNextPassword = "next-password"
)

func secretName(service string) string { return service + "-credentials" }

// newPassword has 256 random bits, in letters and digits: it needs no quoting
// in an address, a shell or SQL.
func newPassword() string { return rand.Text() + rand.Text() }

// credentials returns what is in a service's Secret, which is made when it is
// not there.
func (m *Manager) credentials(ctx context.Context, namespace string, s store.Service) (map[string]string, error) {
	held, err := m.secret(ctx, namespace, s.Name)
	if err != nil || held != nil || s.Archive != "" {
		return held, err
	}
	held = map[string]string{keyUser: s.User, keyPassword: newPassword()}
	return held, m.putSecret(ctx, namespace, s, held)
}

func (m *Manager) secret(ctx context.Context, namespace, name string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	secret, err := m.cfg.Cluster.Interface().CoreV1().Secrets(namespace).Get(ctx, secretName(name), metav1.GetOptions{})
	if err != nil {
		return nil, kube.IgnoreNotFound(kube.Explain("reading the credentials of "+name, err))
	}
	held := make(map[string]string, len(secret.Data))
	for key, value := range secret.Data {
		held[key] = string(value)
	}
	return held, nil
}

func (m *Manager) putSecret(ctx context.Context, namespace string, s store.Service, held map[string]string) error {
	data := make(map[string][]byte, len(held))
	for key, value := range held {
		data[key] = []byte(value)
	}
	config := coreac.Secret(secretName(s.Name), namespace).WithType(corev1.SecretTypeOpaque).WithData(data).WithLabels(map[string]string{
		agent.LabelManagedBy: agent.ManagedBy, agent.LabelInstance: s.Name, agent.LabelName: s.Chart,
	})
	_, err := kube.Apply(ctx, m.cfg.Cluster.Interface().CoreV1().Secrets(namespace), "keeping the credentials of "+s.Name, config)
	return err
}

// Credentials tells how a client logs in. Asking is recorded.
func (m *Manager) Credentials(ctx context.Context, name, by string) (agent.Credentials, error) {
	s, err := m.installed(ctx, name)
	if err != nil {
		return agent.Credentials{}, err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return agent.Credentials{}, err
	}
	chart, err := m.catalogue.of(s)
	if err != nil {
		return agent.Credentials{}, err
	}
	held, err := m.held(ctx, namespace, s)
	if err != nil {
		return agent.Credentials{}, err
	}
	c := agent.Credentials{Env: environment(chart, s.Name, held[keyUser], held[keyPassword], ""), Client: strings.Fields(chart.Annotation(noteClient))}
	for variable, value := range c.Env {
		if strings.HasSuffix(variable, "_URL") {
			c.URL = value
		}
	}
	m.tell(ctx, name, "info", "credentials shown", by)
	return c, nil
}

// held are the credentials of a service that has some.
func (m *Manager) held(ctx context.Context, namespace string, s store.Service) (map[string]string, error) {
	held, err := m.secret(ctx, namespace, s.Name)
	if err == nil && held == nil {
		err = agent.Errorf(agent.CodeConflict, "see what its chart made: hks kubeconfig", "the platform keeps no credentials of %s", s.Name)
	}
	return held, err
}

// environment is what a bound app gets.
func environment(chart *helm.Chart, host, user, password, prefix string) map[string]string {
	words := strings.NewReplacer("{host}", host, "{port}", strconv.Itoa(portOf(chart)), "{user}", user, "{password}", password, "{database}", database)
	env := map[string]string{}
	for _, v := range variables(chart) {
		env[prefixed(prefix, v.name)] = words.Replace(v.value)
	}
	return env
}

func prefixed(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "_" + name
}
