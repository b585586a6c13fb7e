package hosts

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/test/images"
)

const (
	password = "correct horse battery staple"
	// settings make a release that never gets ready fail sooner than by default.
	settings = "deploy:\n  deadline: 60s\n"
)

var linkPattern = regexp.MustCompile(`https://\S+/setup\?token=(\S+)`)

// site is an appliance on a host.
type site struct {
	t    *testing.T
	host *Host
	web  string // where the bundle is published
}

// run runs lines of sh on the host, and fails the test when they fail.
func (s *site) run(format string, args ...any) string {
	s.t.Helper()
	out, err := s.try(format, args...)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
	return out
}

func (s *site) try(format string, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 12*time.Minute)
	defer cancel()
	return s.host.Script(ctx, fmt.Sprintf(format, args...))
}

// eventually runs lines of sh until they succeed.
func (s *site) eventually(limit time.Duration, format string, args ...any) string {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		out, err := s.try(format, args...)
		if err == nil {
			return out
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not after %s: %s: %v\n%s", limit, fmt.Sprintf(format, args...), err, out)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// publish serves the folder of bundles on the network of hosts.
func publish(t *testing.T, network *Network, folder string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(network.Address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(folder)), ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return "http://" + listener.Addr().String()
}

// newSite boots a host beside a published bundle.
func newSite(t *testing.T, name string) *site {
	t.Helper()
	dist := os.Getenv("HKS_DIST")
	if dist == "" {
		t.Skip("run by make hosts")
	}
	share := t.TempDir()
	if _, err := images.Write(t.Context(), share, images.Image{Name: "page:1", Package: "hks.dev/hks/test/samples/page", Env: []string{"VERSION=1"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(share, 0o755); err != nil {
		t.Fatal(err)
	}
	bundles, err := filepath.Glob(filepath.Join(dist, "hks-*.tar.gz*"))
	if err != nil || len(bundles) == 0 {
		t.Fatalf("no bundle in %s: %v", dist, err)
	}
	for _, file := range append(bundles, filepath.Join(dist, "install.sh")) {
		if err := os.Link(file, filepath.Join(share, filepath.Base(file))); err != nil {
			data, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(share, filepath.Base(file)), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	h := start(t, name, 2, share)
	s := &site{t: t, host: h, web: publish(t, h.cfg.Network, dist)}
	t.Cleanup(func() { s.tell() })
	return s
}

// tell says how the appliance fares on the host of a test that failed, and
// keeps it while the file that HKS_HOSTS_HOLD names is there.
func (s *site) tell() {
	if !s.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := s.host.Script(ctx, "systemctl --no-pager --failed; systemctl --no-pager status 'hks-*' | head -80; journalctl --no-pager -n 150 -u 'hks-*'")
	s.t.Logf("%s %v", out, err)
	hold := os.Getenv("HKS_HOSTS_HOLD")
	if hold == "" {
		return
	}
	if err := os.WriteFile(hold, fmt.Append(nil, s.host.leader(), "\n"), 0o644); err != nil {
		return
	}
	for range 3600 {
		if _, err := os.Stat(hold); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// own makes the owner by the link that the install printed.
func (s *site) own(printed string) {
	s.t.Helper()
	link := linkPattern.FindStringSubmatch(printed)
	if link == nil {
		s.t.Fatalf("no link to log in was printed:\n%s", printed)
	}
	s.run(`curl -sS --fail -k -H 'Content-Type: application/json' -d '{"token":"%s","password":"%s"}' https://localhost:8443/api/setup`, link[1], password)
	s.eventually(2*time.Minute, "hks workspace show --json | grep -q '\"status\": *\"ready\"'")
}

// answers asks the app at a URL that hks deploy printed, trusting the
// appliance's own authority only.
func (s *site) answers(limit time.Duration, url string) {
	s.t.Helper()
	s.eventually(limit, `curl -sS --fail --unix-socket /run/hks/gateway.sock http://gateway/ca.crt >/tmp/ca.crt
curl -sS --fail --cacert /tmp/ca.crt --max-time 10 %s | grep -q '<h1>version'`, url)
}

// inventory is all of a host that an install could leave something in.
func (s *site) inventory() []string {
	s.t.Helper()
	out := s.run(`
find /etc /usr /opt /root /srv /var/lib /var/spool /lib /home -xdev -not -path '/var/lib/systemd/*' -not -path '/srv/share/*' -not -path '/etc/systemd/network*' -printf 'file %%y %%p %%l\n'
awk '{print "mount " $2 " " $3}' /proc/mounts
ip -o link show | awk '{print "link " $2}' | sed 's/@.*//'
ip route show | sed 's/^/route /'
nft list ruleset | sed 's/^/nft /'
systemctl list-unit-files --no-legend --no-pager | grep -v '^run-u' | awk '{print "unit " $1 " " $2}'
systemctl list-units --all --no-legend --plain --no-pager 'hks*' | sed 's/^/loaded /'
sed 's/^/user /' /etc/passwd /etc/group
sed 's/^/hosts /' /etc/hosts
ps -eo comm | sed 's/^/process /' | grep -v -E 'process (ps|sh|sed|systemd-hostnam|agetty|systemd-run)$' | sort -u
for f in net/ipv4/ip_forward net/ipv4/conf/all/route_localnet net/ipv6/conf/all/forwarding; do echo "sysctl $f $(cat /proc/sys/$f)"; done
`)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(lines)
	return lines
}

// difference is what is in one list and not in the other.
func difference(before, after []string) []string {
	var out []string
	for _, line := range after {
		if _, ok := slices.BinarySearch(before, line); !ok {
			out = append(out, "+ "+line)
		}
	}
	for _, line := range before {
		if _, ok := slices.BinarySearch(after, line); !ok {
			out = append(out, "- "+line)
		}
	}
	return out
}

// TestA90A93A94InstallOnAHost goes the whole way on one host, as each install
// takes a minute or two.
func TestA90A93A94InstallOnAHost(t *testing.T) {
	s := newSite(t, "hks")
	before := s.inventory()
	s.run("mkdir -p /etc/hks && printf '%s' >/etc/hks/config.yaml", settings)
	began := time.Now()
	printed := s.run("curl -sfL %s/install.sh | HKS_MIRROR=%s sh - 2>&1", s.web, s.web)
	t.Logf("installed from the network in %s:\n%s", time.Since(began).Round(time.Second), printed)
	s.own(printed)
	url := s.deploy()
	t.Logf("from the one line to an app's first answer: %s", time.Since(began).Round(time.Second))

	s.sub("A90 again: nothing changes", func() {
		before := s.processes()
		printed := s.run("curl -sfL %s/install.sh | HKS_MIRROR=%s sh - 2>&1", s.web, s.web)
		if strings.Contains(printed, "placed version") || strings.Contains(printed, "loading the base image") {
			s.t.Errorf("the second run changed something:\n%s", printed)
		}
		if after := s.processes(); after != before {
			s.t.Errorf("the second run restarted something:\n%s\nbefore:\n%s", after, before)
		}
	})
	s.sub("a restart refuses no connection", func() { s.restartUnderLoad(url) })
	s.sub("A94 reboot", func() {
		if err := s.host.Reboot(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		began := time.Now()
		s.answers(5*time.Minute, url)
		s.t.Logf("the app answers %s after the boot", time.Since(began).Round(time.Second))
		s.healthy()
	})
	s.sub("A94 power loss", func() {
		if err := s.host.PowerCut(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if err := s.host.PowerOn(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		began := time.Now()
		s.answers(5*time.Minute, url)
		s.t.Logf("the app answers %s after the boot", time.Since(began).Round(time.Second))
		s.healthy()
	})
	s.sub("A93 purge", func() {
		s.run("hks-installer purge --yes 2>&1")
		for _, line := range difference(before, s.inventory()) {
			s.t.Errorf("after the purge: %s", line)
		}
	})
	s.sub("A90 offline from the bundle", func() {
		s.run("mkdir -p /etc/hks && printf '%s' >/etc/hks/config.yaml; ip route change default via 10.98.255.254 dev host0 onlink", settings)
		began := time.Now()
		s.own(s.run("HKS_BUNDLE=$(ls /srv/share/hks-*.tar.gz) sh /srv/share/install.sh 2>&1"))
		s.deploy()
		s.t.Logf("from the bundle on disk to an app's first answer: %s", time.Since(began).Round(time.Second))
	})
}

// sub runs a part of a test. Those after one that failed are not run: what
// they need is not there.
func (s *site) sub(name string, run func()) {
	whole := s.t
	if whole.Failed() {
		return
	}
	whole.Run(name, func(t *testing.T) {
		s.t = t
		defer func() { s.t = whole }()
		run()
	})
}

// deploy deploys the page of the share and waits until it answers.
func (s *site) deploy() string {
	s.t.Helper()
	s.run("hks image load /srv/share/1-page.tar")
	url := strings.TrimSpace(s.run("hks deploy --name page --image page:1 --port 8080 2>/tmp/deploy.err || { cat /tmp/deploy.err; exit 1; }"))
	s.answers(time.Minute, url)
	return url
}

// processes are the units of hks with their main processes.
func (s *site) processes() string {
	s.t.Helper()
	return s.run("systemctl show --property=Id,MainPID,NRestarts,ActiveState hks-agent.service hks-gateway.service hks-k3s.service")
}

// healthy waits until all parts of the appliance are well.
func (s *site) healthy() {
	s.t.Helper()
	s.eventually(5*time.Minute, "curl -sS --fail --unix-socket /run/hks/agent.sock http://hks/api/system >/tmp/status; ! grep -q '\"healthy\": *false' /tmp/status")
}

// loadScript asks for a page by a new connection each time, until it is told to stop.
const loadScript = `failed=0 sent=0
while [ ! -e /tmp/load.stop ]; do
	sent=$((sent + 1))
	curl -sS --fail -o /dev/null --max-time 60 "$@" 2>>/tmp/load.errors || failed=$((failed + 1))
done
echo "$sent sent, $failed failed"
`

// restartUnderLoad restarts agent and gateway while both are asked without a
// pause.
func (s *site) restartUnderLoad(url string) {
	s.t.Helper()
	if out, err := s.host.RunIn(s.t.Context(), strings.NewReader(loadScript), "sh", "-euc", "cat >/tmp/load.sh; rm -f /tmp/load.stop /tmp/load.errors"); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	type outcome struct {
		what, out string
		err       error
	}
	loads := map[string]string{
		"the agent's API":    "-k https://localhost:8443/api/info",
		"the agent's socket": "--unix-socket /run/hks/agent.sock http://hks/api/info",
		"the gateway":        "--cacert /tmp/ca.crt " + url,
	}
	outcomes := make(chan outcome, len(loads))
	for what, args := range loads {
		go func() {
			out, err := s.try("sh /tmp/load.sh %s", args)
			outcomes <- outcome{what, out, err}
		}()
	}
	for range 3 {
		for _, unit := range []string{"hks-agent", "hks-gateway"} {
			s.run("systemctl restart %s", unit)
		}
	}
	s.run("touch /tmp/load.stop")
	for range loads {
		o := <-outcomes
		s.t.Logf("%s: %s", o.what, strings.TrimSpace(o.out))
		if o.err != nil || !strings.Contains(o.out, " 0 failed") || strings.HasPrefix(o.out, "0 sent") {
			errors, _ := s.try("sort /tmp/load.errors | uniq -c")
			s.t.Errorf("%s: %v %s\n%s", o.what, o.err, o.out, errors)
		}
	}
}
