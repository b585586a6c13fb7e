package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// while is a flag's value that takes days too: 90m, 24h, 30d.
type while time.Duration

// String writes it as it may be given.
func (w *while) String() string {
	d := time.Duration(*w)
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d.Hours()/24)) + "d"
	}
	text := d.String()
	if d != 0 && d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d != 0 && d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Set reads what was given.
func (w *while) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 3650 {
			return fmt.Errorf("%q is no number of days", text)
		}
		*w = while(n) * while(24*time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	*w = while(d)
	return err
}

// Type is how the help calls it.
func (w *while) Type() string { return "duration" }

// whileFlag adds a flag for a while.
func whileFlag(cmd *cobra.Command, value *time.Duration, name string, usual time.Duration, usage string) {
	*value = usual
	cmd.Flags().Var((*while)(value), name, usage)
}
