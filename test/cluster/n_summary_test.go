package cluster

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/test/images"
)

// TestA50DailySummaryEmail has the sample read a database of the marketplace,
// and send what was ordered by mail: by its cron job, by hand, and by an event.
func TestA50DailySummaryEmail(t *testing.T) {
	client := browser(t)
	archive, err := images.Write(t.Context(), t.TempDir(), images.Image{Name: "mailbox:1", Package: "hks.dev/hks/test/samples/mailbox"})
	if err != nil {
		t.Fatal(err)
	}
	hks(t, "image", "load", archive)
	serviceGone(t, "orders")
	hks(t, "market", "install", "postgresql", "orders", "--storage", "1Gi")
	remove(t, "mailbox")
	post := deploy(t, "mailbox", "mailbox:1")
	mailbox := podIP(t, workspace, "hks.dev/app=mailbox")
	mails := func(t *testing.T) (list []struct {
		From, Text string
		To         []string
	}) {
		t.Helper()
		body, _ := get(t, client, post+"/mails")
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}

	const name = "daily-summary-email"
	folder := filepath.Join(t.TempDir(), name)
	hks(t, "function", "init", name, "--sample", name, "--folder", folder)
	deleteFunction(t, name)
	hks(t, "function", "deploy", folder)
	f := ask[agent.Function](t, "function", "show", name)
	if len(f.Missing) != 4 {
		t.Errorf("it misses %q", f.Missing)
	}

	// A53: each failed call names what is missing; the binding and three
	// variables mend it.
	if r := try(t, "cron", "run", name); r.exit != 1 || !strings.Contains(r.stdout+r.stderr, "DATABASE_URL") {
		t.Errorf("without variables: exit %d %s%s", r.exit, r.stdout, r.stderr)
	}
	hks(t, "bind", "function/"+name, "orders")
	hks(t, "function", "env", "set", name, "MAIL_FROM=shop@example.com", "MAIL_TO=ada@example.com")
	if status, body, _, _ := callFunction(t, client, f, "/"); status != http.StatusInternalServerError || !strings.Contains(body, "SMTP_URL") || strings.Contains(body, "DATABASE_URL") {
		t.Errorf("without SMTP_URL: %d %s", status, body)
	}
	hks(t, "function", "secret", "set", name, "SMTP_URL=smtp://"+mailbox+":1025")

	// A54: it fails while there is no table, and tells why; then it works.
	if r := try(t, "cron", "run", name); r.exit != 1 || !strings.Contains(r.stdout+r.stderr, `"orders" does not exist`) {
		t.Errorf("without the table: exit %d %s%s", r.exit, r.stdout, r.stderr)
	}
	psql(t, "orders", readSchema(t, folder)+`INSERT INTO orders (product, cents, placed_at) VALUES
		('Teapot', 2599, now() - interval '1 day'), ('Teapot', 2599, now() - interval '1 day'), ('Cup <small>', 450, now() - interval '1 day'), ('Spoon', 100, now());`)
	job := ask[agent.CronJob](t, "cron", "show", name)
	if job.Schedule != "0 7 * * *" || job.TimeZone != "Europe/Vienna" || len(job.Next) != 5 {
		t.Errorf("the job of its trigger: %+v", job)
	}
	if out := hks(t, "cron", "run", name); !strings.Contains(out, `"products":2`) {
		t.Errorf("the run printed %s", out)
	}
	sent := mails(t)
	if len(sent) != 1 {
		t.Fatalf("%d mails", len(sent))
	}
	if m := sent[0]; m.From != "shop@example.com" || len(m.To) != 1 || m.To[0] != "ada@example.com" ||
		!strings.Contains(m.Text, "3 orders, 56.48") || !strings.Contains(m.Text, "Teapot: 2 for 51.98") || strings.Contains(m.Text, "Spoon") {
		t.Errorf("the mail: %+v", m)
	}
	hks(t, "function", "invoke", name, "--data", `{"day":"2001-01-01"}`)
	if sent := mails(t); len(sent) != 2 || !strings.Contains(sent[1].Text, "Nothing was ordered.") {
		t.Errorf("by hand it sent %+v", sent)
	}

	// Its trigger keeps the job; another version without one takes it away, and
	// has it called by events. One event is one mail.
	if r := try(t, "cron", "delete", name, "--yes"); r.exit != 1 || !strings.Contains(r.stderr, "function.yaml") {
		t.Errorf("deleting the job of a trigger: exit %d %s", r.exit, r.stderr)
	}
	write(t, filepath.Join(folder, "function.yaml"), "name: "+name+"\nruntime: nodejs\nentry: summary\ntriggers: [{event: com.example.*}]\n")
	hks(t, "function", "deploy", folder)
	if r := try(t, "cron", "show", name); r.exit != 1 {
		t.Errorf("the job is still there: %s", r.stdout)
	}
	for range 2 {
		hks(t, "function", "emit", "com.example.closed", "--id", "day-1", "--data", `{"day":"2001-01-02"}`)
	}
	eventually(t, 30*time.Second, func() string {
		if n := len(mails(t)); n < 3 {
			return "no mail came by the event"
		}
		return ""
	})
	if sent := mails(t); len(sent) != 3 || !strings.Contains(sent[2].Text, "2001-01-02") {
		t.Errorf("by one event twice it sent %d mails", len(sent))
	}
}

func readSchema(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
