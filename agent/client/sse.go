package client

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"strings"
)

// maxLine bounds one line of a stream: an app's log line may be long.
const maxLine = 4 << 20

// frame is one server-sent event (WHATWG HTML, 9.2).
type frame struct {
	event string
	id    string // the last id seen, also when this frame had none of its own
	data  []byte // nil: the frame only says where to resume
}

// frames yields the events of a stream, and frames that hold nothing but an
// id. A frame that the end of the stream cuts short is dropped; the end itself
// is no error.
func frames(r io.Reader) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 4096), maxLine)
		var f frame
		id := ""
		for lines.Scan() {
			line := lines.Bytes()
			if len(line) > 0 {
				f.take(line)
				continue
			}
			if (f.data != nil || f.id != id) && !yield(f, nil) {
				return
			}
			id = f.id
			f = frame{id: id}
		}
		if err := lines.Err(); err != nil {
			yield(frame{}, err)
		}
	}
}

// take adds one line. Comments (the heartbeat) and unknown fields are nothing.
func (f *frame) take(line []byte) {
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		f.event = string(value)
	case "id":
		if id := string(value); !strings.ContainsRune(id, 0) {
			f.id = id
		}
	case "data":
		if f.data == nil {
			f.data = make([]byte, 0, len(value))
		} else {
			f.data = append(f.data, '\n')
		}
		f.data = append(f.data, value...)
	}
}
