package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"hks.dev/hks/agent"
)

// Port is where a machine that has joined serves its disks.
const Port = 5445

// busy tells ErrBusy over the wire.
const busy agent.Code = "DISK_BUSY"

// filled is how much of a disk is used, over the wire.
type filled struct {
	Used    int64 `json:"used"`
	Size    int64 `json:"size"`
	Mounted bool  `json:"mounted"`
}

// Handler serves disks to whoever holds them from another machine, one POST a
// method: /disks/ID/METHOD. Who may is decided by TLS, see ServerTLS.
func (d *Disks) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(method string, do func(w http.ResponseWriter, r *http.Request, id string, n int64) error) {
		mux.HandleFunc("POST /disks/{id}/"+method, func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
			if r.URL.Query().Get("n") != "" && err != nil {
				http.Error(w, "n is no number", http.StatusBadRequest)
				return
			}
			if err := do(w, r, r.PathValue("id"), n); err != nil {
				refuse(w, err)
			}
		})
	}
	handle("make", func(_ http.ResponseWriter, r *http.Request, id string, n int64) error {
		return d.Make(r.Context(), id, n)
	})
	handle("mount", func(_ http.ResponseWriter, r *http.Request, id string, _ int64) error {
		return d.Mount(r.Context(), id)
	})
	handle("grow", func(_ http.ResponseWriter, r *http.Request, id string, n int64) error {
		return d.Grow(r.Context(), id, n)
	})
	handle("unmount", func(_ http.ResponseWriter, _ *http.Request, id string, _ int64) error { return d.Unmount(id) })
	handle("remove", func(_ http.ResponseWriter, r *http.Request, id string, _ int64) error {
		return d.Remove(r.Context(), id)
	})
	handle("room", func(_ http.ResponseWriter, _ *http.Request, _ string, n int64) error { return d.Room(n) })
	handle("idle", func(w http.ResponseWriter, _ *http.Request, id string, _ int64) error {
		idle, err := d.Idle(id)
		return answer(w, idle, err)
	})
	handle("exists", func(w http.ResponseWriter, _ *http.Request, id string, _ int64) error {
		there, err := d.Exists(id)
		return answer(w, there, err)
	})
	handle("fill", func(w http.ResponseWriter, _ *http.Request, id string, _ int64) error {
		used, size, ok := d.Fill(id)
		return answer(w, filled{used, size, ok}, nil)
	})
	handle("sums", func(w http.ResponseWriter, r *http.Request, id string, _ int64) error {
		sums, err := d.Sums(r.Context(), id)
		if err != nil {
			return err
		}
		return binary.Write(w, binary.BigEndian, sums)
	})
	handle("read", func(w http.ResponseWriter, r *http.Request, id string, n int64) error {
		data, err := d.ReadChunk(r.Context(), id, int(n))
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	handle("accept", func(_ http.ResponseWriter, r *http.Request, id string, n int64) error {
		return d.Accept(r.Context(), id, n)
	})
	handle("write", func(w http.ResponseWriter, r *http.Request, id string, n int64) error {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, Chunk))
		if err != nil {
			return err
		}
		return d.WriteChunk(r.Context(), id, int(n), data)
	})
	handle("seal", func(_ http.ResponseWriter, r *http.Request, id string, _ int64) error {
		return d.Seal(r.Context(), id, r.URL.Query().Get("digest"))
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// refuse tells what went wrong, as agent.Error does; the appliance is the only
// one who asks.
func refuse(w http.ResponseWriter, err error) {
	known, ok := errors.AsType[*agent.Error](err)
	switch {
	case errors.Is(err, ErrBusy):
		known = &agent.Error{Code: busy}
	case !ok:
		known = &agent.Error{Code: agent.CodeInternal, Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(known) // whoever asked has gone
}
