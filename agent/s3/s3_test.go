package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// server starts a real S3 server over a folder with one bucket. Without one
// the test is skipped; packaging/versitygw has how it is built.
func server(t *testing.T) agent.BackupTarget {
	t.Helper()
	program := os.Getenv("HKS_TEST_S3_SERVER")
	if program == "" {
		t.Skip("needs an S3 server: HKS_TEST_S3_SERVER names versitygw's program")
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "backups"), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--port", address, "posix", folder)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=owner", "ROOT_SECRET_KEY=a-long-secret-key")
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(words.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		response, err := http.Get("http://" + address + "/")
		if err == nil {
			_ = response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %v\n%s", err, words.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return agent.BackupTarget{Endpoint: "http://" + address, Bucket: "backups", Region: "us-east-1", Prefix: "hks", AccessKey: "owner", SecretKey: "a-long-secret-key"}
}

func TestRealServerKeepsACopy(t *testing.T) {
	target := server(t)
	s, ctx := New(), t.Context()
	if err := s.Check(ctx, target); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("rows of a table\n"), 2<<20) // more than one part
	address, err := s.Put(ctx, target, "hks/db/1.backup", bytes.NewReader(data), int64(len(data)), "sum")
	if err != nil || address != "s3://backups/hks/db/1.backup" {
		t.Fatalf("%q, %v", address, err)
	}
	from, err := s.Get(ctx, target, "hks/db/1.backup")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(from)
	if err := errors.Join(err, from.Close()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	for range 2 { // twice is fine
		if err := s.Remove(ctx, target, "hks/db/1.backup"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get(ctx, target, "hks/db/1.backup"); err == nil {
		t.Error("it is still there")
	}
}

func TestRealServerRefuses(t *testing.T) {
	good := server(t)
	for name, tt := range map[string]struct {
		change func(*agent.BackupTarget)
		fix    string
	}{
		"no such bucket":   {func(b *agent.BackupTarget) { b.Bucket = "nothere" }, "make the bucket nothere"},
		"a wrong key":      {func(b *agent.BackupTarget) { b.SecretKey = "another-long-key" }, "access key"},
		"an unknown owner": {func(b *agent.BackupTarget) { b.AccessKey = "stranger" }, "access key"},
	} {
		t.Run(name, func(t *testing.T) {
			target := good
			tt.change(&target)
			err := New().Check(t.Context(), target)
			if e, ok := errors.AsType[*agent.Error](err); !ok || !strings.Contains(e.Fix, tt.fix) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), target.SecretKey) {
				t.Error("the error tells the key")
			}
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, endpoint := range []string{"", "s3.example.com", "ftp://s3.example.com", "https://key:secret@s3.example.com", "https://s3.example.com/bucket", "https://"} {
		err := New().Check(t.Context(), agent.BackupTarget{Endpoint: endpoint, Bucket: "b", AccessKey: "a", SecretKey: "s"})
		if agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	if err := New().Check(t.Context(), agent.BackupTarget{Endpoint: "https://s3.example.com"}); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("no bucket: %v", err)
	}
}
