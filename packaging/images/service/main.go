// Command service is the entry point of the images of databases, and what the
// agent runs inside them: it makes a data folder, starts the server, adds and
// drops users, and writes and reads backups. Each engine has a file of its
// own.
//
//	hks-service ENGINE start [NAME=VALUE...]
//	hks-service ENGINE ready
//	hks-service ENGINE add-user NAME     # the password comes on standard input
//	hks-service ENGINE drop-user NAME
//	hks-service ENGINE backup            # the archive goes to standard output, its Contents to the last line of standard error
//	hks-service ENGINE connect HOST      # log in as an application does; the password is HKS_PASSWORD
//	hks-service ENGINE restore           # a Contents as one line of JSON, then the archive, on standard input
//
// It needs no shell and no root. Passwords are read from files and pipes only.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

// engine is one kind of database.
type engine interface {
	// start makes the data folder where there is none, and becomes the server.
	// Settings are further settings of the server, NAME=VALUE.
	start(ctx context.Context, settings []string) error
	// ready tells whether the server takes commands.
	ready(ctx context.Context) error
	// addUser makes a user that may do with the database what an application
	// does, or gives it a new password.
	addUser(ctx context.Context, name, password string) error
	// dropUser ends the user's connections and removes it; one that is not
	// there is fine.
	dropUser(ctx context.Context, name string) error
	// backup writes an archive and says what is in it.
	backup(ctx context.Context, out io.Writer) (Contents, error)
	// restore puts an archive in the place of the data. Until the archive was
	// read to its end and found to be what want says, the data stays. What it
	// returns, if anything, is done after the answer was given.
	restore(ctx context.Context, want Contents, in io.Reader) (got Contents, then func() error, err error)
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("write it as: hks-service ENGINE VERB")
	}
	s, err := settingsOf(os.Getenv)
	if err != nil {
		return err
	}
	engines := map[string]engine{
		"postgresql": postgres{s}, "mariadb": mariadb{s}, "valkey": valkey{s}, "rabbitmq": rabbitmq{s}, "s3": objects{s},
	}
	e, ok := engines[args[0]]
	if !ok {
		return fmt.Errorf("there is no engine %q", args[0])
	}
	switch verb := args[1]; {
	case verb == "start":
		return e.start(ctx, args[2:])
	case verb == "ready" && len(args) == 2:
		return e.ready(ctx)
	case verb == "add-user" && len(args) == 3 && nameGrammar.MatchString(args[2]):
		password, err := io.ReadAll(io.LimitReader(os.Stdin, 4<<10))
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		return e.addUser(ctx, args[2], strings.TrimSpace(string(password)))
	case verb == "drop-user" && len(args) == 3 && nameGrammar.MatchString(args[2]):
		return e.dropUser(ctx, args[2])
	case verb == "connect" && len(args) == 3:
		c, ok := e.(connector)
		if !ok {
			return fmt.Errorf("%s is tried with its own client", args[0])
		}
		return c.connect(ctx, args[2], os.Getenv("HKS_PASSWORD"))
	case verb == "backup" && len(args) == 2:
		return backup(ctx, e, os.Stdout, os.Stderr)
	case verb == "restore" && len(args) == 2:
		return restore(ctx, e, os.Stdin, os.Stdout)
	}
	return fmt.Errorf("%q is not understood", strings.Join(args, " "))
}

// nameGrammar is what names of users and databases look like, so that they
// need no quoting anywhere.
var nameGrammar = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// passwordGrammar is what the agent's passwords look like, for the same reason.
var passwordGrammar = regexp.MustCompile(`^[A-Za-z0-9]{16,128}$`)
