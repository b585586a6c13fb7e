package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const restricted = "securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}"
const dropped = "securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}"

// pod is a pod that a restricted namespace admits.
func pod(name, image, rest string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: t, labels: {app: %s}}
spec:
  %s
  containers:
  - name: c
    image: %s
    imagePullPolicy: IfNotPresent
    %s
%s
`, name, name, restricted, image, dropped, rest)
}

const busybox = "rancher/mirrored-library-busybox:1.35.0"

// TestServer is one life of a server: everything hks needs of it, a stop, a restart, and an end.
func TestServer(t *testing.T) {
	c := newCluster(t)
	host, ca := startRegistry(t)
	push(t, host, "team/tool:1", tool(t, "pulled"))
	must(t, os.MkdirAll("/etc/rancher/k3s/config.yaml.d", 0o755))
	must(t, os.WriteFile("/etc/rancher/k3s/config.yaml", []byte("disable: [traefik, servicelb]\nno-such-key: 1\nsecrets-encryption: true\n"), 0o600))
	must(t, os.WriteFile("/etc/rancher/k3s/config.yaml.d/10-label.yaml", []byte("node-label+: [hks.dev/node-pool=shared]\n"), 0o600))
	must(t, os.WriteFile("/etc/rancher/k3s/registries.yaml", []byte(fmt.Sprintf(`
mirrors: {registry.test: {endpoint: ["https://%s"]}}
configs: {%q: {auth: {username: hks, password: s3cret}, tls: {ca_file: %s}}}
`, host, host, ca)), 0o600))
	c.start()
	c.podsReady("kube-system", "k8s-app=kube-dns", "app=local-path-provisioner", "k8s-app=metrics-server")

	run := func(name string, step func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			defer func(outer *testing.T) { c.t = outer }(c.t)
			c.t = t
			step(t)
		})
	}
	run("workload", c.workload)
	run("policy", c.policy)
	run("pull", func(t *testing.T) {
		c.apply(pod("puller", "registry.test/team/tool:1", ""))
		c.podsReady("t", "puller")
	})
	run("archive", func(t *testing.T) {
		writeTar(t, dataDir+"/agent/images/tool.tar", "local.test/tool:2", tool(t, "imported"))
		c.until(time.Minute, "the archive is imported", func() bool {
			out, _ := exec.Command(c.k3s, "ctr", "images", "ls", "-q").Output()
			return strings.Contains(string(out), "local.test/tool:2")
		})
		c.apply(strings.Replace(pod("importer", "local.test/tool:2", ""), "IfNotPresent", "Never", 1))
		c.podsReady("t", "importer")
	})
	run("manifests", func(t *testing.T) {
		must(t, os.WriteFile(dataDir+"/server/manifests/mine.yaml", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: t}\n"), 0o600))
		c.until(time.Minute, "the manifest is applied", func() bool { _, err := c.try("-n", "t", "get", "configmap", "mine"); return err == nil })
	})
	run("tokens", c.tokens)
	run("restart", c.restart)
	run("restore", c.restore)
	run("a child dies", func(t *testing.T) {
		must(t, exec.Command("pkill", "-KILL", "-x", "-f", "containerd --config .*").Run())
		select {
		case err := <-c.ended:
			c.cmd = nil
			if err == nil {
				t.Error("k3s ended well")
			}
		case <-time.After(20 * time.Second):
			t.Error("k3s goes on without containerd")
		}
		said, _ := os.ReadFile(c.output.Name())
		if !strings.Contains(string(said), "containerd ended by itself") {
			t.Error("k3s doesn't say why it ended")
		}
	})
}

func (c *cluster) workload(t *testing.T) {
	c.apply(`
apiVersion: v1
kind: Namespace
metadata: {name: t, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: t}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: t}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
` + pod("web", busybox, `    command: [sh, -c, "echo hello > /data/index.html; echo started; exec httpd -f -p 8080 -h /data"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 2}
    volumeMounts: [{name: data, mountPath: /data}]
    resources: {limits: {memory: 32Mi, cpu: 100m}}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`) + pod("client", busybox, `    command: [sleep, "1000000"]
`) + pod("other", busybox, `    command: [sleep, "1000000"]
`))
	c.podsReady("t", "web", "client", "other")
	if out := c.kubectl("-n", "t", "logs", "web"); out != "started" {
		t.Errorf("logs: %q", out)
	}
	if out := c.kubectl("-n", "t", "exec", "client", "--", "nslookup", "web.t.svc.cluster.local"); !strings.Contains(out, "10.43.") {
		t.Errorf("DNS: %q", out)
	}
	if err := c.fetch("client", c.ip("service"), "80"); err != nil {
		t.Error(err)
	}
	if out := c.kubectl("get", "node", "sandbox", "-o", `jsonpath={.metadata.labels.hks\.dev/node-pool}`); out != "shared" {
		t.Errorf("node label: %q", out)
	}
	c.until(time.Minute, "kubectl top answers", func() bool { _, err := c.try("top", "node"); return err == nil })
	info, err := os.Stat("/etc/rancher/k3s/k3s.yaml")
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("k3s.yaml has mode %v", info.Mode())
	}
}

// ip is web's address.
func (c *cluster) ip(of string) string {
	if of == "service" {
		return c.kubectl("-n", "t", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
	}
	return c.kubectl("-n", "t", "get", "pod", "web", "-o", "jsonpath={.status.podIP}")
}

func (c *cluster) fetch(from, host, port string) error {
	out, err := c.try("-n", "t", "exec", from, "--", "sh", "-c",
		fmt.Sprintf(`printf 'GET /index.html HTTP/1.0\r\n\r\n' | nc -w 3 %s %s`, host, port))
	if err == nil && !strings.Contains(out, "HTTP/") {
		err = fmt.Errorf("no answer: %q", out)
	}
	return err
}

func (c *cluster) policy(t *testing.T) {
	c.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: t}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: http}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: other, namespace: t}
spec:
  podSelector: {matchLabels: {app: other}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.42.0.0/16, 10.99.0.0/24]}}]}]
`)
	service, podIP := c.ip("service"), c.ip("pod")
	c.until(30*time.Second, "the policy holds", func() bool { return c.fetch("other", podIP, "8080") != nil })
	for _, x := range []struct {
		from, host, port string
		pass             bool
	}{
		{"client", service, "80", true},
		{"client", podIP, "8080", true},
		{"client", "10.43.0.1", "443", true},
		{"other", service, "80", false},
		{"other", "10.43.0.1", "443", false},
		{"other", "10.99.0.2", "6443", false},
	} {
		if err := c.fetch(x.from, x.host, x.port); (err == nil) != x.pass {
			t.Errorf("%s -> %s:%s, want pass=%v: %v", x.from, x.host, x.port, x.pass, err)
		}
	}
	// The node reaches every pod: probes, and a gateway on the host.
	if out, err := exec.Command("curl", "-sS", "-m", "5", "http://"+podIP+":8080/index.html").CombinedOutput(); err != nil {
		t.Errorf("node -> pod: %s", out)
	}
}

func (c *cluster) tokens(t *testing.T) {
	out, err := exec.Command(c.k3s, "token", "create", "--ttl", "1h").CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
	made := strings.TrimSpace(string(out))
	_, secret, _ := strings.Cut(made, "::")
	server, err := os.ReadFile(dataDir + "/server/node-token")
	must(t, err)
	if pin, _, _ := strings.Cut(string(server), "::"); !strings.HasPrefix(made, pin+"::") {
		t.Errorf("token %q isn't pinned like %q", made, pin)
	}
	id, _, _ := strings.Cut(secret, ".")
	if out, err := exec.Command(c.k3s, "token", "list").CombinedOutput(); err != nil || !strings.Contains(string(out), id) {
		t.Errorf("list: %s", out)
	}
	if out, err := exec.Command(c.k3s, "token", "delete", id).CombinedOutput(); err != nil {
		t.Errorf("delete: %s", out)
	}
}

func (c *cluster) containers() string {
	return c.kubectl("get", "pods", "-A", "-o", `jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\n"}{end}`)
}

func (c *cluster) restart(t *testing.T) {
	before := c.containers()
	c.stop()
	if err := exec.Command("pgrep", "-x", "httpd").Run(); err != nil {
		t.Error("the containers went with k3s")
	}
	c.start()
	time.Sleep(10 * time.Second) // long enough for a kubelet to find fault
	if after := c.containers(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if err := c.fetch("client", c.ip("service"), "80"); err != nil {
		t.Error(err)
	}
}

// restore: the datastore and the token are enough to bring a server back.
func (c *cluster) restore(t *testing.T) {
	c.kubectl("-n", "t", "create", "secret", "generic", "kept", "--from-literal=a=b")
	token, err := os.ReadFile(dataDir + "/server/token")
	must(t, err)
	ca, err := os.ReadFile(dataDir + "/server/tls/server-ca.crt")
	must(t, err)
	c.stop()
	db, err := filepath.Glob(dataDir + "/server/db/*")
	must(t, err)
	saved := t.TempDir()
	for _, f := range db {
		must(t, exec.Command("cp", "-a", f, saved).Run())
	}
	must(t, os.RemoveAll(dataDir+"/server"))
	must(t, os.MkdirAll(dataDir+"/server/db", 0o700))
	must(t, exec.Command("cp", "-aT", saved, dataDir+"/server/db").Run())
	must(t, os.WriteFile("/etc/rancher/k3s/config.yaml.d/20-token.yaml", []byte("token: "+strings.TrimSpace(string(token))+"\n"), 0o600))
	c.start()
	again, err := os.ReadFile(dataDir + "/server/tls/server-ca.crt")
	must(t, err)
	if string(again) != string(ca) {
		t.Error("another CA")
	}
	if out := c.kubectl("-n", "t", "get", "secret", "kept", "-o", "jsonpath={.data.a}"); out != "Yg==" {
		t.Errorf("secret: %q", out)
	}
}
