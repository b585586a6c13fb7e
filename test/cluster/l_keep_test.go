package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// TestA95RestoreOnAnotherMachine saves the appliance, brings the archive to a
// clean machine with another name and address, and finds there what was here.
func TestA95RestoreOnAnotherMachine(t *testing.T) {
	remove(t, "saved")
	url := deploy(t, "saved", "page:1")
	hks(t, "deploy", "--name", "saved", "--image", "page:2", "--port", "8080", "--env", "GREETING=kept")
	if r := tryInput(t, "canary-51c7\n", "secret", "set", "saved", "PASSPHRASE", "--from-file", "-"); r.exit != 0 {
		t.Fatalf("setting a secret: %s%s", r.stdout, r.stderr)
	}
	settled(t, "saved")
	before := show(t, "saved")
	dropCron(t, "yearly")
	job := ask[agent.CronJob](t, "cron", "create", "yearly", "--schedule", "30 4 1 1 *", "--tz", "Europe/Vienna", "--app", "saved")
	f := deployed(t, "fn-saved", map[string]string{
		"function.yaml": "name: fn-saved\nruntime: nodejs\nentry: hello\n",
		"index.js":      "exports.hello = (request, response) => response.send('saved too');\n",
	})
	token := strings.TrimSpace(hks(t, "token", "create", "kept"))

	begin := time.Now()
	made := ask[agent.ApplianceJob](t, "appliance", "backup", "create")
	t.Logf("saved after %s", time.Since(begin).Round(time.Millisecond))
	b := ask[agent.ApplianceBackup](t, "appliance", "backup", "show", itoa(made.Backup))
	t.Logf("%d files, %d bytes packed into %d; %d objects, %d images in %d blobs", b.Contents.Files, b.Contents.Bytes, b.Bytes, b.Contents.Objects, b.Contents.Images, b.Contents.Blobs)
	begin = time.Now()
	hks(t, "appliance", "drill")
	t.Logf("tried after %s", time.Since(begin).Round(time.Millisecond))
	if s := ask[agent.ApplianceBackups](t, "appliance", "backup", "list"); s.Drill == nil || !s.Drill.Good || s.Drill.Backup != b.ID {
		t.Errorf("the drill: %+v", s.Drill)
	}
	folder := t.TempDir()
	file, key := filepath.Join(folder, "hks.archive"), filepath.Join(folder, "key")
	hks(t, "appliance", "backup", "download", itoa(b.ID), "--to", file)
	write(t, key, hks(t, "recovery-key"))

	if out, err := installer(t.Context(), "restore", file, "--key-file", key, "--from", appliance.bin); err == nil || !strings.Contains(out, "there is an appliance on this machine already") || !strings.Contains(out, "--replace") {
		t.Errorf("over the living one: %v\n%s", err, out)
	}

	other := newMachine(t)
	in := "/opt/restore" // a folder that the machine has for itself
	other.run(t, "mkdir", "-p", in)
	for name, from := range map[string]string{"hks.archive": file, "key": key} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("/proc", other.pid, "root", in, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Of the base images only the one that the function runs on is brought along.
	other.run(t, "sh", "-c", fmt.Sprintf("mkdir -p %[1]s/from/images && ln -s %[2]s/hks %[2]s/hks-* %[2]s/k3s %[1]s/from/ && ln -s %[2]s/images/fn-node-24.tar %[1]s/from/images/", in, appliance.bin))
	restore := func(archive string) (string, error) {
		return other.try(t, filepath.Join(appliance.bin, "hks-installer"), "restore", archive, "--key-file", in+"/key", "--from", in+"/from", "--timeout", "4m")
	}
	other.run(t, "sh", "-c", fmt.Sprintf("head -c %d %s/hks.archive >%s/cut", b.Bytes-100, in, in))
	if out, err := restore(in + "/cut"); err == nil || !strings.Contains(out, "damaged") {
		t.Errorf("an archive that is cut short: %v\n%s", err, out)
	}
	if out := other.run(t, "find", "/var/lib/hks", "/etc/hks", "/var/lib/rancher", "-mindepth", "1"); out != "" {
		t.Errorf("a damaged archive changed the machine: %s", out)
	}
	begin = time.Now()
	out, err := restore(in + "/hks.archive")
	if err != nil {
		logs, _ := other.try(t, "sh", "-c", "tail -n 40 /var/log/hks/*.log")
		t.Fatalf("restoring: %v\n%s\n%s", err, out, logs)
	}
	t.Logf("restored after %s:\n%s", time.Since(begin).Round(time.Millisecond), out)
	if !strings.Contains(out, appliance.fingerprint) {
		t.Errorf("the API has another certificate: want %s in\n%s", appliance.fingerprint, out)
	}
	there := func(v any, args ...string) {
		t.Helper()
		out, err := other.try(t, append([]string{filepath.Join(appliance.bin, "hks"), "--json"}, args...)...)
		if err == nil {
			err = json.Unmarshal([]byte(out), v)
		}
		if err != nil {
			t.Fatalf("hks %s there: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	eventually(t, 2*time.Minute, func() string {
		out, err := other.try(t, "curl", "-skS", "--max-time", "5", "--resolve", "saved-staging.localhost:443:127.0.0.1", url)
		if err != nil || !strings.Contains(out, "version 2") || !strings.Contains(out, "kept") {
			return fmt.Sprintf("%v %s", err, out)
		}
		return ""
	})
	var app agent.App
	there(&app, "app", "show", "saved")
	if app.Release != before.Release || app.URL != before.URL {
		t.Errorf("release %d at %s, it was %d at %s", app.Release, app.URL, before.Release, before.URL)
	}
	if out := other.run(t, filepath.Join(appliance.bin, "hks"), "exec", "saved", "--", "/app", "env", "PASSPHRASE"); !strings.Contains(out, "canary-51c7") {
		t.Errorf("the secret is not what it was: %s", out)
	}
	var again agent.CronJob
	there(&again, "cron", "show", "yearly")
	if len(again.Next) == 0 || !again.Next[0].Equal(job.Next[0]) {
		t.Errorf("next at %v, it was %v", again.Next, job.Next)
	}
	eventually(t, time.Minute, func() string {
		out, err := other.try(t, "curl", "-skS", "--max-time", "20", "-H", "X-Hks-Key: "+f.Key, f.URL)
		if err != nil || !strings.Contains(out, "saved too") {
			return fmt.Sprintf("%v %s", err, out)
		}
		return ""
	})
	if out, err := other.try(t, "curl", "-skS", "-H", "Authorization: Bearer "+token, "https://127.0.0.1:8443/api/whoami"); err != nil || !strings.Contains(out, `"token":"kept"`) {
		t.Errorf("the token: %v %s", err, out)
	}

	t.Run("the machine moves, and readdress mends it", func(t *testing.T) {
		begin = time.Now()
		const moved = "10.98.0.3"
		link := strings.Fields(other.run(t, "ip", "-o", "-4", "address", "show", "to", "10.98.0.2"))[1]
		other.run(t, "ip", "address", "del", otherAddress, "dev", link) // a second one in its network would go with it
		other.run(t, "ip", "address", "add", moved+"/24", "dev", link)
		if out := other.run(t, filepath.Join(appliance.bin, "hks-installer"), "readdress"); !strings.Contains(out, "its address is "+moved+" now") || !strings.Contains(out, "node-ip is "+moved) {
			t.Errorf("readdress said %s", out)
		}
		var nodes []agent.Node
		there(&nodes, "node", "list")
		if len(nodes) != 1 || nodes[0].Address != moved || nodes[0].Name != b.Contents.Node {
			t.Errorf("after the move: %+v", nodes)
		}
		eventually(t, time.Minute, func() string {
			out, err := other.try(t, "curl", "-skS", "--max-time", "5", "--resolve", "saved-staging.localhost:443:127.0.0.1", url)
			if err != nil || !strings.Contains(out, "version 2") {
				return fmt.Sprintf("%v %s", err, out)
			}
			return ""
		})
		t.Logf("moved after %s", time.Since(begin).Round(time.Millisecond))
	})
}
