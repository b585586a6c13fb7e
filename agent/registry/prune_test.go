package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"hks.dev/hks/agent"
)

// keeping is a registry whose clock and whose list of needed images a test
// sets.
type keeping struct {
	*Registry
	t *testing.T

	mu       sync.Mutex // guards what follows
	ahead    time.Duration
	uses     []agent.ImageUse
	told     []agent.Activity
	building bool
}

func startKeeping(t *testing.T, dir string, change ...func(*Config)) *keeping {
	t.Helper()
	k := &keeping{t: t}
	k.Registry = start(t, dir, append([]func(*Config){func(c *Config) {
		c.Now = func() time.Time {
			k.mu.Lock()
			defer k.mu.Unlock()
			return time.Now().Add(k.ahead)
		}
		c.Uses = func(context.Context) ([]agent.ImageUse, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return slices.Clone(k.uses), nil
		}
		c.Building = func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.building
		}
		c.Record = func(_ context.Context, a agent.Activity) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.told = append(k.told, a)
		}
	}}, change...)...)
	return k
}

// forward moves the clock.
func (k *keeping) forward(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ahead += d
}

func (k *keeping) need(app string, release int, image string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.uses = append(k.uses, agent.ImageUse{App: app, Environment: agent.Staging, Release: release, Image: image})
}

// load loads the image and returns what pods would pull.
func (k *keeping) load(image v1.Image, as string) string {
	k.t.Helper()
	loaded, err := k.Load(k.t.Context(), bytes.NewReader(dockerArchive(k.t, image, as)))
	if err != nil {
		k.t.Fatal(err)
	}
	path, _, _ := strings.Cut(loaded[0].Name, ":")
	return agent.RegistryHost + "/" + path + "@" + loaded[0].Digest
}

// has lists the names in the registry, and checks that each can be read whole.
func (k *keeping) has() []string {
	k.t.Helper()
	images, err := k.List(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	names := []string{}
	for _, image := range images {
		names = append(names, image.Name)
		k.pull(image.Name)
	}
	return names
}

func (k *keeping) ref(image string) name.Reference {
	k.t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(k.Mirror().Endpoint, "https://") + "/" + image)
	if err != nil {
		k.t.Fatal(err)
	}
	return ref
}

func (k *keeping) options() []remote.Option {
	m := k.Mirror()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // another test checks the certificate
	k.t.Cleanup(transport.CloseIdleConnections)
	return []remote.Option{
		remote.WithContext(k.t.Context()), remote.WithTransport(transport),
		remote.WithAuth(&authn.Basic{Username: m.Username, Password: m.Password}),
	}
}

// pull reads an image whole, as a node does.
func (k *keeping) pull(image string) {
	k.t.Helper()
	got, err := remote.Image(k.ref(image), k.options()...)
	if err != nil {
		k.t.Fatalf("pulling %s: %v", image, err)
	}
	layers, err := got.Layers()
	if err != nil {
		k.t.Fatalf("pulling %s: %v", image, err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			k.t.Fatalf("pulling %s: %v", image, err)
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			k.t.Errorf("pulling %s: %v", image, err)
		}
		_ = content.Close() // read to its end
	}
}

func (k *keeping) prune() agent.ImagePrune {
	k.t.Helper()
	for range 1000 {
		done, err := k.Prune(k.t.Context(), false, "owner")
		if err == nil {
			return done
		}
		if agent.CodeOf(err) != agent.CodeConflict {
			k.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // a push that was refused counts until its last request has ended
	}
	k.t.Fatal("something is being pushed for ever")
	return agent.ImagePrune{}
}

func names(images []agent.Image) []string {
	list := []string{}
	for _, image := range images {
		list = append(list, image.Name)
	}
	return list
}

func TestA97PruneKeepsExactlyWhatIsNeeded(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	shared := randomImage(t)
	derived, err := mutate.Config(shared, v1.Config{Cmd: []string{"/other"}}) // the same layers
	if err != nil {
		t.Fatal(err)
	}
	k.need("web", 1, k.load(randomImage(t), "web:moving"))
	k.load(randomImage(t), "web:moving") // release 1 is only to be had by digest from here on
	k.need("web", 2, k.load(randomImage(t), "web:2"))
	k.need("shop", 1, "shop:1") // accepted, not resolved yet
	k.load(randomImage(t), "shop:1")
	k.load(randomImage(t), "shop:2")
	k.need("api", 3, k.load(derived, "api:3"))
	k.load(shared, "old:1")
	k.load(randomImage(t), "hks/base:13")
	k.load(randomImage(t), "hks/base:13") // the one before has no name any more
	k.need("away", 1, "ghcr.io/me/tool@sha256:"+strings.Repeat("0", 64))
	k.need("odd", 1, "Not An Image")

	if plan, err := k.Prune(t.Context(), true, "owner"); err != nil || plan.FreedBytes != 0 || len(plan.Removed) != 0 {
		t.Errorf("within the grace time %+v would go, %v", plan, err)
	}
	k.forward(25 * time.Hour)
	k.load(randomImage(t), "fresh:1")
	young := time.Now().Add(25 * time.Hour)
	if err := os.Chtimes(k.data()+tagFile("fresh", "1"), young, young); err != nil { // the disk's clock stands still
		t.Fatal(err)
	}
	before := k.has()
	plan, err := k.Prune(t.Context(), true, "owner")
	if err != nil {
		t.Fatal(err)
	}
	if got := k.has(); !slices.Equal(got, before) {
		t.Errorf("a dry run removed something: %v, before %v", got, before)
	}
	done := k.prune()
	want := []string{"old:1", "shop:2", "web:moving"}
	if got := names(done.Removed); !slices.Equal(got, want) || !slices.Equal(names(plan.Removed), want) {
		t.Errorf("removed %v, planned %v, want %v", got, names(plan.Removed), want)
	}
	if done.FreedBytes != plan.FreedBytes || done.FreedBytes < 4*4096 || done.AfterBytes != done.BeforeBytes-done.FreedBytes {
		t.Errorf("figures: planned %+v, done %+v", plan, done)
	}
	if got, want := k.has(), []string{"api:3", "fresh:1", "hks/base:13", "shop:1", "web:2"}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	_, pinned, _ := strings.Cut(k.uses[0].Image, "/")
	k.pull(pinned)
	if again := k.prune(); again.FreedBytes != 0 || len(again.Removed) != 0 {
		t.Errorf("a second clean-up found %+v", again)
	}
	if len(k.told) != 1 || !strings.Contains(k.told[0].Message, "3 images removed") {
		t.Errorf("told %+v", k.told)
	}
	// What was removed can come back.
	k.load(shared, "old:1")
	k.pull("old:1")
}

// An index that a release needs keeps its images; one that nobody needs goes
// with them.
func TestPruneKeepsTheImagesOfAnIndex(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	for _, as := range []string{"multi:1", "multi:2"} {
		index, err := random.Index(1024, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.WriteIndex(k.ref(as), index, k.options()...); err != nil {
			t.Fatal(err)
		}
		digest, err := index.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if as == "multi:1" {
			k.need("web", 1, agent.RegistryHost+"/multi@"+digest.String())
		}
	}
	k.forward(25 * time.Hour)
	if got := names(k.prune().Removed); !slices.Equal(got, []string{"multi:2"}) {
		t.Errorf("removed %v", got)
	}
	index, err := remote.Index(k.ref("multi:1"), k.options()...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Manifests {
		k.pull("multi@" + m.Digest.String())
	}
	inv, err := k.inventory(t.Context())
	if err != nil || len(inv.manifests) != 3 || len(inv.blobs) != 1+2*(2+2) {
		t.Errorf("%d manifests and %d blobs are left, %v", len(inv.manifests), len(inv.blobs), err)
	}
}

// A push that meets a clean-up is told to come again, does so, and is whole.
func TestPushDuringAPruneIsNotLost(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	image := randomImage(t)
	old := k.load(image, "old:1")
	k.forward(25 * time.Hour)
	open, err := k.closeGate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{})
	var once sync.Once
	options := k.options()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // another test checks the certificate
	defer transport.CloseIdleConnections()
	watched := roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, err := transport.RoundTrip(r)
		if err == nil && answer.StatusCode == http.StatusServiceUnavailable {
			if answer.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			once.Do(func() { close(refused) })
		}
		return answer, err
	})
	pushed := make(chan error, 1)
	go func() {
		// The same layers as of the image that is being removed: the registry must
		// not say that it has them.
		pushed <- remote.Write(k.ref("new:1"), image, append(options, remote.WithTransport(watched),
			remote.WithRetryBackoff(remote.Backoff{Duration: 50 * time.Millisecond, Factor: 1.5, Steps: 20}))...)
	}()
	select {
	case <-refused:
	case err := <-pushed:
		t.Fatalf("the push was not refused: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the push was not refused in time")
	}
	_, path, _ := strings.Cut(old, "/")
	k.pull(path) // pulls go on
	inv, _, chosen, err := k.chosen(t.Context(), keepNone)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.carryOut(t.Context(), inv, chosen); err != nil {
		t.Fatal(err)
	}
	open()
	if err := <-pushed; err != nil {
		t.Fatalf("the push was lost: %v", err)
	}
	if got := k.has(); !slices.Equal(got, []string{"new:1"}) {
		t.Errorf("there is %v", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Between two requests of a push, and while an image is being built, nothing
// is collected.
func TestPruneWaitsForWhatIsOnItsWay(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	busy := func(why string) {
		t.Helper()
		if _, err := k.Prune(t.Context(), false, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("%s: %v, want %s", why, err, agent.CodeConflict)
		}
		if _, err := k.Delete(t.Context(), "web:1", "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("%s: %v, want %s", why, err, agent.CodeConflict)
		}
	}
	layer, err := random.Layer(1024, "application/vnd.oci.image.layer.v1.tar")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteLayer(k.ref("web:1").Context(), layer, k.options()...); err != nil {
		t.Fatal(err)
	}
	busy("a layer without its manifest")
	k.forward(2 * pushSilence) // given up
	if done := k.prune(); done.AfterBytes == 0 {
		t.Error("a layer of just now was removed")
	}
	k.forward(25 * time.Hour)
	if done := k.prune(); done.AfterBytes != 0 || done.FreedBytes == 0 {
		t.Errorf("a layer of a push that was given up stays: %+v", done)
	}
	k.building = true
	busy("a build")
}

func TestAnInterruptedPruneLeavesAReadableRegistry(t *testing.T) {
	full := t.TempDir()
	first := startKeeping(t, full)
	needed := first.load(randomImage(t), "web:1")
	shared := randomImage(t)
	derived, err := mutate.Config(shared, v1.Config{Cmd: []string{"/other"}})
	if err != nil {
		t.Fatal(err)
	}
	first.load(shared, "old:1")
	first.load(derived, "old:2")
	stop(t, first.Registry)
	// The removal is cut off at its first, second ... change of the disk, which
	// is what a kill leaves behind.
	for cut := 0; ; cut++ {
		dir := filepath.Join(t.TempDir(), "registry")
		if err := os.CopyFS(dir, os.DirFS(full)); err != nil {
			t.Fatal(err)
		}
		k := startKeeping(t, dir)
		k.need("web", 1, needed)
		k.forward(25 * time.Hour)
		k.driver = &dying{StorageDriver: k.driver, left: cut}
		_, err := k.Prune(t.Context(), false, "owner")
		if err != nil && !errors.Is(err, errDied) && !strings.Contains(err.Error(), errDied.Error()) {
			t.Fatal(err)
		}
		stop(t, k.Registry)

		again := startKeeping(t, dir)
		again.uses, again.ahead = k.uses, k.ahead
		again.has() // all that has a name is whole
		again.pull("web:1")
		again.prune()
		if got := again.has(); !slices.Equal(got, []string{"web:1"}) {
			t.Errorf("cut at %d: there is %v after the next clean-up", cut, got)
		}
		inv, invErr := again.inventory(t.Context())
		if invErr != nil || len(inv.blobs) != 4 {
			t.Errorf("cut at %d: %d blobs are left, want 4; %v", cut, len(inv.blobs), invErr)
		}
		again.load(shared, "old:1")
		again.pull("old:1")
		stop(t, again.Registry)
		if err == nil {
			if cut < 10 {
				t.Errorf("a removal of two images changes the disk %d times only", cut)
			}
			return
		}
	}
}

var errDied = errors.New("killed here")

func TestBudget(t *testing.T) {
	k := startKeeping(t, t.TempDir(), func(c *Config) { c.Budget = 22_000 })
	k.need("web", 1, k.load(randomImage(t), "web:1"))
	for i := range 4 {
		as := fmt.Sprintf("old:%d", i)
		k.load(randomImage(t), as)
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		for _, file := range k.linksOf("old", fmt.Sprint(i)) {
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	usage, err := k.Usage(t.Context())
	if err != nil || usage.UsedBytes <= k.cfg.Budget || !usage.PrunedAt.IsZero() {
		t.Fatalf("usage %+v, %v", usage, err)
	}
	k.keepBudget(t.Context())
	if got := k.has(); len(got) != 5 {
		t.Errorf("within the grace time there is only %v", got)
	}
	k.forward(25 * time.Hour)
	k.keepBudget(t.Context())
	got := k.has()
	after, err := k.Usage(t.Context())
	if err != nil || after.UsedBytes > k.cfg.Budget || after.PrunedAt.IsZero() {
		t.Errorf("usage %+v, %v", after, err)
	}
	if len(got) < 2 || !slices.Contains(got, "web:1") || slices.Contains(got, "old:0") || !slices.Contains(got, "old:3") {
		t.Errorf("kept %v of %d bytes, want the newest", got, usage.UsedBytes)
	}
	warnings := k.warnings()

	// Everything is needed: nothing goes, and a line says who takes the room. At
	// most once a day.
	for i := range 6 {
		k.need("large", i, k.load(randomImage(t), fmt.Sprintf("large:%d", i)))
	}
	before := len(k.has())
	k.keepBudget(t.Context())
	if len(k.warnings()) != len(warnings) {
		t.Error("it worked twice a day")
	}
	k.forward(25 * time.Hour)
	k.keepBudget(t.Context())
	warnings = k.warnings()
	if len(warnings) == 0 || !strings.Contains(warnings[len(warnings)-1], "the largest apps are large/staging (") {
		t.Errorf("told %q", warnings)
	}
	if got := k.has(); len(got) > before || !slices.Contains(got, "large:0") || !slices.Contains(got, "web:1") {
		t.Errorf("there is %v", got)
	}
}

func (k *keeping) warnings() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []string
	for _, a := range k.told {
		if a.Level == "warning" {
			list = append(list, a.Message)
		}
	}
	return list
}

// linksOf are the files whose times say when a name was given.
func (k *keeping) linksOf(repository, tag string) []string {
	k.t.Helper()
	inv, err := k.inventory(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	m := inv.find(repository, tag)
	return []string{
		k.data() + tagFile(repository, tag),
		k.data() + repositoriesRoot + "/" + repository + "/_manifests/revisions/sha256/" + m.digest.Encoded() + "/link",
	}
}

func TestDelete(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	pull := k.load(randomImage(t), "web:1")
	k.need("web", 12, pull)
	k.need("web", 13, pull)
	k.need("shop", 1, pull)
	two := randomImage(t)
	k.load(two, "team/tool:1")
	k.load(two, "team/tool:latest")
	k.load(randomImage(t), "hks/base:13")
	tests := map[string]struct {
		name string
		code agent.Code
		want string
	}{
		"needed":     {"web:1", agent.CodeConflict, "needed by release 1 of shop/staging; releases 12, 13 of web/staging"},
		"absent":     {"web:2", agent.CodeNotFound, "has no image web:2"},
		"base image": {"hks/base:13", agent.CodeConflict, "base image"},
		"no name":    {"Not An Image", agent.CodeInvalidImage, "not valid"},
		"by digest":  {"web@" + pull[strings.Index(pull, "sha256:"):], agent.CodeInvalid, "by its name"},
	}
	for what, tt := range tests {
		if _, err := k.Delete(t.Context(), tt.name, "owner"); agent.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s with %q", what, err, tt.code, tt.want)
		}
	}
	images, err := k.List(t.Context())
	if err != nil || len(images) != 4 || len(images[3].UsedBy) != 3 || images[3].UsedBy[0].Release != 12 || images[3].StoredAt.IsZero() || images[0].UsedBy != nil {
		t.Errorf("list %+v, %v", images, err)
	}
	if done, err := k.Delete(t.Context(), "team/tool:latest", "owner"); err != nil || done.FreedBytes != 0 || len(done.Removed) != 1 {
		t.Errorf("one of two names: %+v, %v", done, err)
	}
	k.pull("team/tool:1")
	if done, err := k.Delete(t.Context(), agent.RegistryHost+"/team/tool:1", "owner"); err != nil || done.FreedBytes == 0 {
		t.Errorf("the last name: %+v, %v", done, err)
	}
	if got := k.has(); !slices.Equal(got, []string{"hks/base:13", "web:1"}) {
		t.Errorf("there is %v", got)
	}
}

// A full disk is told in words, to a builder too, and a clean-up helps.
func TestA97FullDisk(t *testing.T) {
	var free atomic.Int64
	free.Store(8 << 30)
	k := startKeeping(t, t.TempDir(), func(c *Config) { c.FreeSpace = func(string) (int64, error) { return free.Load(), nil } })
	k.load(randomImage(t), "old:1")
	free.Store(100)
	if _, err := k.Load(t.Context(), bytes.NewReader(dockerArchive(t, randomImage(t), "web:1"))); agent.CodeOf(err) != agent.CodeNoSpace {
		t.Errorf("loading: %v", err)
	}
	if err := remote.Write(k.ref("web:1"), randomImage(t), k.options()...); err == nil || !strings.Contains(err.Error(), "NO_SPACE") {
		t.Errorf("pushing: %v", err)
	}
	k.forward(25 * time.Hour)
	if done := k.prune(); done.FreedBytes == 0 {
		t.Errorf("a clean-up on a full disk: %+v", done)
	}
	free.Store(8 << 30)
	if err := remote.Write(k.ref("web:1"), randomImage(t), k.options()...); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNothingIsRemovedBlindly(t *testing.T) {
	k := startKeeping(t, t.TempDir())
	k.load(randomImage(t), "old:1")
	k.forward(25 * time.Hour)
	k.cfg.Uses = func(context.Context) ([]agent.ImageUse, error) { return nil, errors.New("the database is away") }
	if _, err := k.Prune(t.Context(), false, "owner"); err == nil || !strings.Contains(err.Error(), "database is away") {
		t.Errorf("got %v", err)
	}
	k.cfg.Uses = nil
	if _, err := k.Prune(t.Context(), false, "owner"); err == nil {
		t.Error("it removes without knowing what is needed")
	}
	if got := k.has(); len(got) != 1 {
		t.Errorf("there is %v", got)
	}
}
