package registry

import (
	"context"
	"io"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// quiet leads the log of the distribution library, which is logrus's standard
// logger, into ours: warnings and errors only, as debug and warning lines,
// since what concerns the owner comes back as an error of a call.
func quiet(log *slog.Logger) {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.WarnLevel)
	hooks := logrus.LevelHooks{}
	hooks.Add(logHook{log})
	logrus.StandardLogger().ReplaceHooks(hooks)
}

type logHook struct{ log *slog.Logger }

// Levels are those that the hook is called for.
func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.WarnLevel, logrus.ErrorLevel, logrus.FatalLevel, logrus.PanicLevel}
}

// Fire writes one line to our log.
func (h logHook) Fire(entry *logrus.Entry) error {
	level := slog.LevelDebug
	if entry.Level <= logrus.FatalLevel {
		level = slog.LevelWarn
	}
	ctx := entry.Context
	if ctx == nil {
		ctx = context.Background()
	}
	h.log.Log(ctx, level, "registry: "+entry.Message)
	return nil
}
