package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

func newAIOpsReplayCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE|-",
		Short: "Run the detectors over recorded figures and print their alerts",
		Long: `Run the detectors over recorded figures and print their alerts.

It is what the appliance runs on its own figures, with the same parameters, and the clock
of the file; no appliance is needed. FILE has one JSON object a line, in any order, of
these kinds (t in Unix seconds, memory in bytes, cpu in cores, p95 in milliseconds):

  {"t":0,"app":"web","pod":"web-1","container":"app","rss":0,"working_set":0,"limit":0,"cpu":0,"restarts":0}
  {"t":0,"event":"oomkilled|deploy|restart|release|config","app":"web","pod":"web-1"}
  {"t":0,"series":"requests","value":0}
  {"t":0,"route":"web.example.com","app":"web","count":0,"errors":0,"p95":0}
  {"t":0,"volume":"data","app":"web","used":0,"capacity":0}
  {"t":0,"app":"web","pod":"web-1","line":"..."}

Each alert is one JSON object: t, fingerprint, detector, state (pending, firing or
resolved), severity, and the evidence.`,
		Example: `  hks aiops replay day.jsonl
  zcat day.jsonl.gz | hks aiops replay -`,
		Args: takes("FILE|-"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.replay(cmd.Context(), args[0])
		},
	}
}

func (s *session) replay(ctx context.Context, name string) error {
	in := s.screen.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return usagef("give the file of recorded figures, or - for the standard input", "can't read the file: %w", err)
		}
		defer func() { _ = file.Close() }() // only read from
		in = file
	}
	return replay(ctx, in, s.screen.out)
}

func replay(ctx context.Context, in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	if err := detect.Replay(ctx, in, w, detect.Default()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return agent.Errorf(agent.CodeInvalid, "mend the line; the forms are shown by: hks aiops replay --help", "can't replay it: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the alerts: %w", err)
	}
	return nil
}
