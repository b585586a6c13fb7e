package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/cmd/hks/cli"
	"hks.dev/hks/test/apidouble/double"
)

// shellDouble starts an appliance with apps, and returns what the command
// needs to know of it.
func shellDouble(t *testing.T) func(string) string {
	t.Helper()
	d, err := double.Start(t.Context(), double.Config{Password: password, Speed: speed, Seed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := settle(d.Socket); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return func(name string) string {
		return map[string]string{"HKS_URL": "unix://" + d.Socket, "HKS_CONFIG_DIR": home}[name]
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func TestA23PortForwardCarriesConnections(t *testing.T) {
	getenv := shellDouble(t)
	in, _ := pipe(t)
	out, stdout := pipe(t)
	errs, stderr := pipe(t)
	ctx, interrupt := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() {
		exit <- cli.Run(ctx, cli.Config{Args: []string{"port-forward", "blog", ":8080", ":9000"}, In: in, Out: stdout, Err: stderr, Getenv: getenv})
	}()
	lines := bufio.NewScanner(out)
	var addresses []string
	for range 2 {
		if !lines.Scan() {
			t.Fatal("no line")
		}
		address, _, _ := strings.Cut(lines.Text(), " ")
		addresses = append(addresses, address)
	}

	var many sync.WaitGroup
	for n := range 8 {
		many.Go(func() {
			text := strings.Repeat(fmt.Sprint("connection ", n, "\n"), 10_000)
			if got := exchange(t, addresses[0], text); got != text {
				t.Errorf("connection %d: %d bytes came back of %d", n, len(got), len(text))
			}
		})
	}
	many.Wait()
	if got := exchange(t, addresses[1], "anyone?"); got != "" {
		t.Errorf("a port nobody listens on sent %q", got)
	}
	line, err := bufio.NewReader(errs).ReadString('\n')
	if err != nil || !strings.Contains(line, "nothing listens on port 9000 of blog-staging-") {
		t.Errorf("said %q, %v", line, err)
	}

	open, err := net.Dial("tcp", addresses[0]) // is in use at the end
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	interrupt()
	select {
	case code := <-exit:
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(patience):
		t.Fatal("Ctrl-C does not end it")
	}
	if conn, err := net.Dial("tcp", addresses[0]); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
}

// exchange sends text, closes its half and returns what comes back.
func exchange(t *testing.T, address, text string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	go func() {
		_, _ = io.WriteString(conn, text) // what comes back tells
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil && text == string(got) {
		t.Error(err)
	}
	return string(got)
}

// terminal makes a pseudo-terminal: the side of the person and that of the
// program.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 30}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// With a terminal the command gets one too, and Ctrl-C is a byte like any
// other; afterwards the terminal is as before.
func TestA23ExecWithATerminal(t *testing.T) {
	getenv := shellDouble(t)
	person, program := terminal(t)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	exit := make(chan int, 1)
	run := func(program *os.File, args ...string) {
		exit <- cli.Run(ctx, cli.Config{Args: append([]string{"exec", "blog", "--"}, args...), In: program, Out: program, Err: program, Getenv: getenv})
	}
	typed := bufio.NewReader(person)
	go run(program, "env")
	for _, want := range []string{"HOSTNAME=blog-staging-", "TTY=true", "STDIN=true"} {
		if line, err := typed.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("printed %q, %v; want %s", line, err, want)
		}
	}
	if code := <-exit; code != 0 {
		t.Errorf("exit code %d", code)
	}

	person, program = terminal(t) // the first one is still being read from, as its process would not be
	typed = bufio.NewReader(person)
	before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	go run(program, "cat")
	for raw := false; !raw; { // what is typed before would be echoed by the terminal
		now, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		raw = now.Lflag&unix.ISIG == 0
	}
	if _, err := person.WriteString("one\x03two\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := typed.ReadString('\n'); err != nil || line != "one\x03two\n" {
		t.Errorf("came back as %q, %v", line, err)
	}
	end()
	<-exit
	after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is %+v, was %+v (%v)", after, before, err)
	}
}
