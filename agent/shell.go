package agent

import "io"

// Channels of an exec or port-forward session. Each frame of its WebSocket is
// binary; the first byte is the channel, the rest its payload.
const (
	ChannelStdin  byte = iota // to the command or the port; an empty payload is its end
	ChannelStdout             // from the command or the port
	ChannelStderr             // from the command
	ChannelResize             // a TerminalSize as JSON
	ChannelExit               // the command's exit code as JSON; nothing follows
	ChannelError              // the body of an error answer; nothing follows
)

// MaxFrame is the size of a frame with its channel, in bytes.
const MaxFrame = 32 << 10

// InstanceQuery says which instance of an app a session is for.
type InstanceQuery struct {
	Component string // empty: whichever has a ready instance
	Instance  string // empty: a ready one of the release that serves
	Port      int    // for a port-forward; 0: the component's
}

// InstanceTarget is the instance that was found for a session.
type InstanceTarget struct {
	Instance  string `json:"instance"`
	Component string `json:"component"`
	Container string `json:"container"`
	Port      int    `json:"port,omitempty"` // 0: the component listens on none
}

// Exec is a command to run in an instance.
type Exec struct {
	Command []string     // without a shell: the program and its arguments
	TTY     bool         // give it a terminal
	Stdin   bool         // it reads what the caller sends
	Size    TerminalSize // of the terminal at the start
}

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct {
	Width  uint16 `json:"width"`
	Height uint16 `json:"height"`
}

// ExecStreams is what a command is connected to.
type ExecStreams struct {
	Stdin  io.Reader // nil: none
	Stdout io.Writer
	Stderr io.Writer           // not written to with a terminal
	Sizes  <-chan TerminalSize // of the terminal, as it changes; may be nil
}

// Tunnel is a connection to a port of an instance. Read tells by its error
// when nobody listens there.
type Tunnel interface {
	io.ReadWriteCloser
	// CloseWrite says that nothing more will be written.
	CloseWrite() error
}
