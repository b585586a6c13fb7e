package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Bounds of a question to another machine.
const (
	dialWithin  = 3 * time.Second
	askWithin   = 20 * time.Second
	workWithin  = 10 * time.Minute // of what reads a whole disk
	silentFor   = 10 * time.Second // one that did not answer is not asked for so long
	maxRefusal  = 64 << 10         // bytes
	idleCloses  = time.Minute
	maxSumBytes = 1 << 30
)

// RemoteConfig says whose disks they are and how they are reached.
type RemoteConfig struct {
	Node    string         // for messages
	Address string         // IP of the machine
	Dir     string         // the folder of its disks
	Keys    agent.DiskKeys // whom this machine shows itself as, and whom it takes for the other
}

// Remote are the disks of another machine. They are safe for concurrent use.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client

	mu     sync.Mutex // guards silent
	silent time.Time  // since when it does not answer; zero: it does
}

// NewRemote checks the settings; nobody is asked yet.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	tls, err := clientTLS(cfg.Keys)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(cfg.Address) == nil {
		return nil, fmt.Errorf("%q is no address of a machine with disks", cfg.Address)
	}
	return &Remote{cfg: cfg, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: tls, DialContext: (&net.Dialer{Timeout: dialWithin}).DialContext, IdleConnTimeout: idleCloses, TLSHandshakeTimeout: dialWithin,
	}}}, nil
}

// Close lets go of connections.
func (r *Remote) Close() { r.client.CloseIdleConnections() }

// Data is the folder that pods get on that machine.
func (r *Remote) Data(id string) string { return filepath.Join(r.cfg.Dir, id, mountName, dataName) }

// Make is Disks.Make there.
func (r *Remote) Make(ctx context.Context, id string, size int64) error {
	return r.ask(ctx, workWithin, id, "make", number(size), nil, nil)
}

// Mount is Disks.Mount there.
func (r *Remote) Mount(ctx context.Context, id string) error {
	return r.ask(ctx, workWithin, id, "mount", nil, nil, nil)
}

// Grow is Disks.Grow there.
func (r *Remote) Grow(ctx context.Context, id string, size int64) error {
	return r.ask(ctx, workWithin, id, "grow", number(size), nil, nil)
}

// Unmount is Disks.Unmount there.
func (r *Remote) Unmount(id string) error {
	return r.ask(context.Background(), askWithin, id, "unmount", nil, nil, nil)
}

// Remove is Disks.Remove there.
func (r *Remote) Remove(ctx context.Context, id string) error {
	return r.ask(ctx, askWithin, id, "remove", nil, nil, nil)
}

// Room is Disks.Room there.
func (r *Remote) Room(size int64) error {
	return r.ask(context.Background(), askWithin, "any", "room", number(size), nil, nil)
}

// Idle is Disks.Idle there.
func (r *Remote) Idle(id string) (idle bool, err error) {
	err = r.ask(context.Background(), askWithin, id, "idle", nil, nil, into(&idle))
	return idle, err
}

// Exists is Disks.Exists there.
func (r *Remote) Exists(id string) (there bool, err error) {
	err = r.ask(context.Background(), askWithin, id, "exists", nil, nil, into(&there))
	return there, err
}

// Fill is Disks.Fill there; ok is false also when the machine does not answer.
func (r *Remote) Fill(id string) (used, size int64, ok bool) {
	var f filled
	if err := r.ask(context.Background(), askWithin, id, "fill", nil, nil, into(&f)); err != nil {
		return 0, 0, false
	}
	return f.Used, f.Size, f.Mounted
}

// Sums is Disks.Sums there.
func (r *Remote) Sums(ctx context.Context, id string) (sums []Sum, err error) {
	err = r.ask(ctx, workWithin, id, "sums", nil, nil, func(body io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(body, maxSumBytes))
		if err == nil && len(data)%len(Sum{}) != 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		sums = make([]Sum, len(data)/len(Sum{}))
		return binary.Read(bytes.NewReader(data), binary.BigEndian, sums)
	})
	return sums, err
}

// ReadChunk is Disks.ReadChunk there.
func (r *Remote) ReadChunk(ctx context.Context, id string, n int) (data []byte, err error) {
	err = r.ask(ctx, askWithin, id, "read", number(int64(n)), nil, func(body io.Reader) (err error) {
		data, err = io.ReadAll(io.LimitReader(body, Chunk))
		return err
	})
	return data, err
}

// Accept is Disks.Accept there.
func (r *Remote) Accept(ctx context.Context, id string, size int64) error {
	return r.ask(ctx, askWithin, id, "accept", number(size), nil, nil)
}

// WriteChunk is Disks.WriteChunk there.
func (r *Remote) WriteChunk(ctx context.Context, id string, n int, data []byte) error {
	return r.ask(ctx, askWithin, id, "write", number(int64(n)), data, nil)
}

// Seal is Disks.Seal there.
func (r *Remote) Seal(ctx context.Context, id, digest string) error {
	return r.ask(ctx, workWithin, id, "seal", url.Values{"digest": {digest}}, nil, nil)
}

func number(n int64) url.Values { return url.Values{"n": {strconv.FormatInt(n, 10)}} }

func into(v any) func(io.Reader) error {
	return func(body io.Reader) error { return json.NewDecoder(body).Decode(v) }
}

// ask calls one method of the other machine's disks.
func (r *Remote) ask(ctx context.Context, within time.Duration, id, method string, query url.Values, body []byte, read func(io.Reader) error) error {
	if err := checkID(id); err != nil {
		return err
	}
	if r.isSilent() {
		return r.unreachable(errors.New("it did not answer a moment ago"))
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	where := url.URL{Scheme: "https", Host: net.JoinHostPort(r.cfg.Address, strconv.Itoa(Port)), Path: "/disks/" + id + "/" + method, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s for a disk: %w", r.cfg.Node, err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			r.setSilent()
		}
		return r.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode == http.StatusOK {
		if read == nil {
			return nil
		}
		if err := read(response.Body); err != nil {
			return r.unreachable(err)
		}
		return nil
	}
	var known agent.Error
	if err := json.NewDecoder(io.LimitReader(response.Body, maxRefusal)).Decode(&known); err != nil {
		return fmt.Errorf("asking %s to %s a disk: it answered %s", r.cfg.Node, method, response.Status)
	}
	switch known.Code {
	case busy:
		return ErrBusy
	case agent.CodeInternal:
		return fmt.Errorf("on %s: %s", r.cfg.Node, known.Message)
	}
	known.Message = r.cfg.Node + ": " + known.Message
	return &known
}

func (r *Remote) unreachable(err error) error {
	return agent.Errorf(agent.CodeClusterAway, fmt.Sprintf("see that the machine runs and that its port %d is reached from the appliance", Port),
		"the disks of %s can't be reached: %v", r.cfg.Node, err)
}

func (r *Remote) isSilent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.silent.IsZero() && time.Since(r.silent) < silentFor
}

func (r *Remote) setSilent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = time.Now()
}
