// Package proc runs the components as child processes and stops them in the reverse order of their start.
package proc

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Group is a set of children. When one of them ends by itself, Failed says so.
type Group struct {
	Env    []string
	Failed chan error

	mu       sync.Mutex
	children []*child
	stopping bool
	spawn    chan func()
}

type child struct {
	name  string
	cmd   *exec.Cmd
	grace time.Duration
	done  chan struct{}
}

// NewGroup makes an empty group whose children get this environment.
func NewGroup(env []string) *Group {
	g := &Group{Env: env, Failed: make(chan error, 16), spawn: make(chan func())}
	go func() {
		// A child's parent-death signal goes by the thread that started it: this one stays.
		runtime.LockOSThread()
		for f := range g.spawn {
			f()
		}
	}()
	return g
}

// Start starts this program again as a component. Its output goes to out.
func (g *Group) Start(component string, out io.Writer, grace time.Duration, args ...string) error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{component}, args...)
	cmd.Env = g.Env
	cmd.Stdout, cmd.Stderr = out, out
	// All of this is one process in k3s: what kills that one kills them at once. An API server that is only asked to end
	// may wait for ever for its storage, which has gone already, and keep its port.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c := &child{name: component, cmd: cmd, grace: grace, done: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return context.Canceled
	}
	started := make(chan error)
	g.spawn <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", component, err)
	}
	g.children = append(g.children, c)
	go g.wait(c)
	return nil
}

func (g *Group) wait(c *child) {
	err := c.cmd.Wait()
	close(c.done)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopping {
		if err == nil {
			err = fmt.Errorf("exit status 0")
		}
		g.Failed <- fmt.Errorf("%s ended by itself: %w", c.name, err)
	}
}

// Stop ends the children one after another, the last one started first.
func (g *Group) Stop() {
	g.mu.Lock()
	g.stopping = true
	children := g.children
	g.mu.Unlock()
	for i := len(children) - 1; i >= 0; i-- {
		children[i].stop()
	}
}

func (c *child) stop() {
	select {
	case <-c.done:
		return
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(c.grace):
		log.Printf("level=warning msg=\"%s did not stop within %s, killing it\"", c.name, c.grace)
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// Path is the PATH of this process with the helper programs first, and the usual folders somewhere.
func Path(bin string) string {
	path := bin
	if p := os.Getenv("PATH"); p != "" {
		path += ":" + p
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if !strings.Contains(":"+path+":", ":"+dir+":") {
			path += ":" + dir
		}
	}
	return path
}

// Environ is the environment of the children: nothing of systemd's, whose messages are the parent's to send.
func Environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES":
		default:
			env = append(env, kv)
		}
	}
	return env
}
