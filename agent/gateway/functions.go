package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"hks.dev/hks/agent"
)

const (
	functionsFile = "functions.json"
	maxQueued     = 200               // calls that wait for one function
	claimWithin   = 100 * time.Second // longer than the agent takes
)

// functions is what the gateway knows of functions: told by the agent, kept on
// disk, so that warm calls need neither the agent nor the cluster.
type functions struct {
	gateway *Gateway
	agent   *http.Client      // on the socket of claims
	pods    http.RoundTripper // to instances

	mu     sync.Mutex // guards what follows, but for byHost's reading
	seq    int64
	table  agent.FunctionTable
	byHost atomic.Pointer[map[string]*function]
}

// function is one function with its instances.
type function struct {
	owner *functions
	name  string
	stats *routeStats

	mu        sync.Mutex // guards the rest
	route     agent.FunctionRoute
	instances []*instance
	leaving   []*instance   // get no calls any more; some are under way
	queued    int           // calls that wait
	claiming  int           // claims under way
	changed   chan struct{} // closed when an instance comes or gets free
	failed    *failure      // why the last claim failed, for those who wait
	failedAt  time.Time
}

type instance struct {
	address  string
	cold     bool // has served no call yet
	inFlight int
	last     time.Time
}

func newFunctions(g *Gateway) *functions {
	f := &functions{gateway: g}
	f.agent = &http.Client{Timeout: claimWithin, Transport: &http.Transport{
		MaxIdleConns: 8, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: g.cfg.Dial}).DialContext(ctx, "unix", g.cfg.Claims)
		},
	}}
	dialer := &net.Dialer{Timeout: g.cfg.Dial}
	f.pods = &http.Transport{
		MaxIdleConnsPerHost: upstreamPool, IdleConnTimeout: upstreamIdle, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !hasWay(address) {
				return nil, errNoWay
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	f.byHost.Store(&map[string]*function{})
	return f
}

// find returns the function of a host, or nil.
func (f *functions) find(host string) *function { return (*f.byHost.Load())[host] }

func (f *functions) named(name string) *function {
	for _, found := range *f.byHost.Load() {
		if found.name == name {
			return found
		}
	}
	return nil
}

// set takes a table in use; false when it is late.
func (f *functions) set(table agent.FunctionTable) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if table.Seq < f.seq {
		return false
	}
	f.seq, f.table = table.Seq, table
	before := map[string]*function{}
	for _, known := range *f.byHost.Load() {
		before[known.name] = known
	}
	next := make(map[string]*function, len(table.Functions))
	for _, route := range table.Functions {
		known := before[route.Name]
		if known == nil {
			known = &function{owner: f, name: route.Name, changed: make(chan struct{})}
			known.stats = f.gateway.metrics.newStats(routeLabels{host: route.Host, path: "/", service: "function/" + route.Name})
		}
		known.update(route)
		next[route.Host] = known
	}
	f.byHost.Store(&next)
	return true
}

// told notes the sequence of a claim: tables from before it are late.
func (f *functions) told(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = max(f.seq, seq)
}

func (f *functions) load() error {
	var table agent.FunctionTable
	err := f.gateway.files.read(functionsFile, &table)
	if err == nil {
		f.set(table)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// update takes what the agent says. Instances that it drops get no more calls;
// those under way end.
func (f *function) update(route agent.FunctionRoute) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var kept []*instance
	listed := map[string]bool{}
	for _, address := range route.Instances {
		listed[address] = true
	}
	for _, i := range f.instances {
		if listed[i.address] {
			kept = append(kept, i)
			delete(listed, i.address)
		} else if i.inFlight > 0 {
			f.leaving = append(f.leaving, i)
		}
	}
	for _, address := range route.Instances {
		if listed[address] {
			kept = append(kept, &instance{address: address, last: time.Now()})
		}
	}
	f.route, f.instances = route, kept
	f.wake()
}

// wake has those who wait look again. With the lock.
func (f *function) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// acquire gives the call an instance with room, and has the agent bring one when
// all are busy.
func (f *function) acquire(ctx context.Context) (got *instance, cold bool, _ *failure) {
	begin := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for waited := false; ; waited = true {
		if i := f.free(); i != nil {
			cold, i.cold = i.cold || waited, false
			i.inFlight++
			i.last = time.Now()
			return i, cold, nil
		}
		if f.failed != nil && f.failedAt.After(begin) {
			return nil, true, f.failed
		}
		if f.queued >= maxQueued {
			return nil, false, &failure{status: http.StatusTooManyRequests, code: agent.CodeTooMany,
				message: fmt.Sprintf("The function %s has %d calls waiting already.", f.route.Name, f.queued), fix: "Try again in a moment."}
		}
		f.queued++
		// As many instances as the calls that wait need, and no more.
		for f.claiming*f.route.Concurrency < f.queued && len(f.instances)+f.claiming < f.route.MaxInstances {
			f.claiming++
			f.owner.gateway.work.Go(func() { f.claim(context.WithoutCancel(ctx)) })
		}
		changed := f.changed
		f.mu.Unlock()
		var gone bool
		select {
		case <-changed:
		case <-ctx.Done():
			gone = true
		}
		f.mu.Lock()
		f.queued--
		if gone {
			if context.Cause(ctx) == errTimedOut {
				return nil, true, timedOut(f.route)
			}
			return nil, true, clientGone()
		}
	}
}

// free is the instance with the most room, nil when there is none. With the lock.
func (f *function) free() *instance {
	var best *instance
	for _, i := range f.instances {
		if i.inFlight < f.route.Concurrency && (best == nil || i.inFlight < best.inFlight) {
			best = i
		}
	}
	return best
}

// done gives the room back.
func (f *function) done(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.inFlight--
	i.last = time.Now()
	f.leaving = without(f.leaving, func(l *instance) bool { return l.inFlight == 0 })
	f.wake()
}

// drop takes an instance out of use, as it does not answer.
func (f *function) drop(broken *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instances = without(f.instances, func(i *instance) bool { return i == broken })
	f.wake()
}

func without(list []*instance, gone func(*instance) bool) []*instance {
	var kept []*instance
	for _, i := range list {
		if !gone(i) {
			kept = append(kept, i)
		}
	}
	return kept
}

// claim asks the agent for one more instance.
func (f *function) claim(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, claimWithin)
	defer cancel()
	var answer agent.FunctionClaim
	failed := f.owner.ask(ctx, "/claim?function="+f.name, &answer)
	if failed == nil && answer.Address == "" {
		failed = refused(answer)
	}
	if failed == nil {
		f.owner.told(answer.Seq)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.claiming--
	if failed != nil {
		f.failed, f.failedAt = failed, time.Now()
	} else {
		known := false
		for _, i := range f.instances {
			known = known || i.address == answer.Address // a table was faster
		}
		if !known {
			f.instances = append(f.instances, &instance{address: answer.Address, cold: true, last: time.Now()})
		}
	}
	f.wake()
}

// refused is what the agent says in place of an instance.
func refused(answer agent.FunctionClaim) *failure {
	var e struct {
		Code         agent.Code
		Message, Fix string
	}
	if err := json.Unmarshal(answer.Error, &e); err != nil {
		return &failure{status: http.StatusBadGateway, code: codeUpstream, message: "The agent's answer can't be read.", cause: err}
	}
	return &failure{status: answer.Status, code: e.Code, message: e.Message, fix: e.Fix}
}

// ask posts to the agent.
func (f *functions) ask(ctx context.Context, path string, answer any) *failure {
	away := func(err error) *failure {
		return &failure{status: http.StatusServiceUnavailable, code: codeNoInstance, cause: err,
			message: "The function has no instance, and the agent that starts one does not answer.", fix: "Try again in a moment; \"hks status\" shows how the appliance is."}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path, nil)
	if err != nil {
		return away(err)
	}
	response, err := f.agent.Do(request)
	if err != nil {
		return away(err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		return away(err)
	}
	return nil
}

// handle puts what the agent asks on the socket.
func (f *functions) handle(mux *http.ServeMux) {
	a := func(w http.ResponseWriter, status int, value any) { f.gateway.admin.json(w, status, value) }
	mux.HandleFunc("PUT /functions", func(w http.ResponseWriter, r *http.Request) {
		var table agent.FunctionTable
		if err := json.NewDecoder(io.LimitReader(r.Body, 8<<20)).Decode(&table); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if f.set(table) {
			if err := f.gateway.files.write(functionsFile, table); err != nil {
				f.gateway.log.Error("the functions could not be written; a restart without the agent would not know them", "error", err)
			}
		}
		a(w, http.StatusOK, map[string]int64{"seq": table.Seq})
	})
	mux.HandleFunc("GET /functions/loads", func(w http.ResponseWriter, _ *http.Request) { a(w, http.StatusOK, f.loads()) })
	mux.HandleFunc("POST /functions/{name}/release", func(w http.ResponseWriter, r *http.Request) {
		idle, err := time.ParseDuration(r.URL.Query().Get("idle"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		found := f.named(r.PathValue("name"))
		a(w, http.StatusOK, map[string]bool{"released": found == nil || found.release(r.URL.Query().Get("address"), idle)})
	})
	mux.HandleFunc("POST /functions/{name}/call", func(w http.ResponseWriter, r *http.Request) {
		found := f.named(r.PathValue("name"))
		if found == nil {
			http.Error(w, "there is no function "+r.PathValue("name")+" that serves", http.StatusNotFound)
			return
		}
		r.URL.Path, r.URL.RawQuery = "/", ""
		found.serve(newRecorder(w), r, true)
	})
}

// release takes an instance out of use that had no call for so long.
func (f *function) release(address string, idle time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.instances {
		if i.address == address {
			if i.inFlight > 0 || f.queued > 0 || time.Since(i.last) < idle {
				return false
			}
			f.instances = without(f.instances, func(o *instance) bool { return o == i })
			return true
		}
	}
	return true
}

func (f *functions) loads() map[string]agent.FunctionLoad {
	loads := map[string]agent.FunctionLoad{}
	for _, found := range *f.byHost.Load() {
		found.mu.Lock()
		for _, list := range [][]*instance{found.instances, found.leaving} {
			for _, i := range list {
				loads[i.address] = agent.FunctionLoad{InFlight: i.inFlight, Last: i.last}
			}
		}
		found.mu.Unlock()
	}
	return loads
}
