package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager how this process fares. Without a
// service manager it does nothing.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// NewNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID by getenv;
// pid is this process's own.
func NewNotifier(getenv func(string) string, pid int) (*Notifier, error) {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	usec := getenv("WATCHDOG_USEC")
	if owner := getenv("WATCHDOG_PID"); usec == "" || (owner != "" && owner != strconv.Itoa(pid)) {
		return n, nil // no watchdog, or that of another process
	}
	micros, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || micros <= 0 {
		return nil, fmt.Errorf("WATCHDOG_USEC is %q, want microseconds", usec)
	}
	n.watchdog = time.Duration(micros) * time.Microsecond
	return n, nil
}

// Ready tells that start-up is over.
func (n *Notifier) Ready(ctx context.Context) error { return n.send(ctx, daemon.SdNotifyReady) }

// Stopping tells that the end has begun.
func (n *Notifier) Stopping(ctx context.Context) error { return n.send(ctx, daemon.SdNotifyStopping) }

// Status shows one line in systemctl status.
func (n *Notifier) Status(ctx context.Context, line string) error {
	for _, r := range line {
		if r < ' ' {
			return errors.New("a status is one line")
		}
	}
	return n.send(ctx, "STATUS="+line)
}

// Watchdog reports at half of the time that systemd allows, as long as
// healthy says so, until ctx ends. Without a watchdog it returns at once.
func (n *Notifier) Watchdog(ctx context.Context, healthy func(context.Context) error) error {
	if n.watchdog == 0 || n.socket == "" {
		return nil
	}
	tick := time.NewTicker(n.watchdog / 2)
	defer tick.Stop()
	for {
		check, cancel := context.WithTimeout(ctx, n.watchdog/2)
		err := healthy(check)
		if err == nil {
			err = n.send(check, daemon.SdNotifyWatchdog)
		}
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// Not reporting is the report: systemd restarts this process.
			return fmt.Errorf("reporting to the watchdog: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Notifier) send(ctx context.Context, state string) error {
	if n.socket == "" {
		return nil
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "unixgram", n.socket)
	if err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	err = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if err == nil {
		_, err = conn.Write([]byte(state))
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}
