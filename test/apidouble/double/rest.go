package double

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// images is api.Images.
type images struct{ *world }

func builtInImages() []agent.Image {
	made := time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)
	return []agent.Image{
		{Name: "hello:1", Digest: "sha256:" + fmt.Sprintf("%064d", 1), SizeBytes: 6_400_000, CreatedAt: made, StoredAt: made.Add(time.Hour)},
		{Name: "hello:2", Digest: "sha256:" + fmt.Sprintf("%064d", 2), SizeBytes: 6_500_000, CreatedAt: made.Add(time.Hour), StoredAt: made.Add(2 * time.Hour)},
	}
}

func (w images) List(context.Context) ([]agent.Image, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := slices.Clone(w.images)
	for i, image := range list {
		list[i].UsedBy = w.users(image.Name)
	}
	return list, nil
}

// imagesBudget is of a small registry, so that its bar shows something.
const imagesBudget = 64 << 20

func (w images) Usage(context.Context) (agent.ImageUsage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return agent.ImageUsage{UsedBytes: w.imageBytes(), BudgetBytes: imagesBudget}, nil
}

// imageBytes adds the images up. The caller holds w.mu.
func (w images) imageBytes() int64 {
	var total int64
	for _, image := range w.images {
		total += image.SizeBytes
	}
	return total
}

// users are the releases with the image. The caller holds w.mu.
func (w images) users(image string) []agent.ImageUse {
	var users []agent.ImageUse
	for _, app := range w.apps {
		for _, release := range app.releases {
			if slices.ContainsFunc(release.Spec.Components, func(c agent.Component) bool { return c.Image == image }) {
				users = append(users, agent.ImageUse{App: release.App, Environment: release.Environment, Release: release.Number})
			}
		}
	}
	slices.SortFunc(users, func(a, b agent.ImageUse) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(string(a.Environment), string(b.Environment)), b.Release-a.Release)
	})
	return users
}

// Prune removes what no release has as its image.
func (w images) Prune(_ context.Context, dryRun bool, by string) (agent.ImagePrune, error) {
	w.mu.Lock()
	done := agent.ImagePrune{DryRun: dryRun, Removed: []agent.Image{}, BeforeBytes: w.imageBytes(), BudgetBytes: imagesBudget}
	kept := []agent.Image{}
	for _, image := range w.images {
		if len(w.users(image.Name)) > 0 {
			kept = append(kept, image)
			continue
		}
		done.Removed = append(done.Removed, image)
		done.FreedBytes += image.SizeBytes
	}
	done.AfterBytes = done.BeforeBytes - done.FreedBytes
	if !dryRun {
		w.images = kept
	}
	w.mu.Unlock()
	if !dryRun {
		w.tell("info", "images", by, fmt.Sprintf("the registry was cleaned up: %d images removed", len(done.Removed)))
	}
	return done, nil
}

// Delete removes one image that no release has.
func (w images) Delete(_ context.Context, name, by string) (agent.ImagePrune, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.images, func(image agent.Image) bool { return image.Name == name })
	if i < 0 {
		return agent.ImagePrune{}, notFound("image " + name)
	}
	if users := w.users(name); len(users) > 0 {
		return agent.ImagePrune{}, agent.Errorf(agent.CodeConflict, "deploy another image, or delete the app: hks app delete APP",
			"%s is needed by release %d of %s/%s", name, users[0].Release, users[0].App, users[0].Environment)
	}
	image, before := w.images[i], w.imageBytes()
	w.images = slices.Delete(w.images, i, i+1)
	return agent.ImagePrune{
		Removed: []agent.Image{image}, FreedBytes: image.SizeBytes, BeforeBytes: before, AfterBytes: before - image.SizeBytes, BudgetBytes: imagesBudget,
	}, nil
}

// Load takes any tar archive for an image called loaded:N.
func (w images) Load(_ context.Context, body io.Reader) ([]agent.Image, error) {
	sum := sha256.New()
	size := &counter{}
	archive := tar.NewReader(io.TeeReader(body, io.MultiWriter(sum, size)))
	files := 0
	for {
		_, err := archive.Next()
		if err == io.EOF { //nolint:errorlint // archive/tar promises it bare
			break
		}
		if err != nil {
			return nil, agent.Errorf(agent.CodeInvalidImage, "make it with: docker save IMAGE > FILE.tar", "the archive can't be read: %w", err)
		}
		files++
	}
	if files == 0 {
		return nil, agent.Errorf(agent.CodeInvalidImage, "make it with: docker save IMAGE > FILE.tar", "the archive is empty")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	image := agent.Image{
		Name: fmt.Sprintf("loaded:%d", len(w.images)), Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), SizeBytes: size.bytes, CreatedAt: time.Now().UTC(), StoredAt: time.Now().UTC(),
	}
	w.images = append(w.images, image)
	return []agent.Image{image}, nil
}

type counter struct{ bytes int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

// system is api.Systemer.
type system struct{ *world }

func (system) System(context.Context) agent.System {
	began := time.Now().Add(-49 * time.Hour)
	last := &agent.Upgrade{Kind: agent.KindUpgrade, From: "v0.1.0", To: "v0.2.0", State: agent.UpgradeDone, Step: "check", StartedAt: began, EndedAt: began.Add(time.Minute)}
	return agent.System{Version: "v0.2.0", Upgrade: last, Parts: []agent.Part{
		{Name: "engine", Healthy: true, Version: "v1.36.2+k3s1"},
		{Name: "api-server", Healthy: true, Version: "v1.36.2"},
		{Name: "node", Healthy: true, Version: "v1.36.2"},
		{Name: "gateway", Healthy: true, Version: "0.1.0"},
		{Name: "registry", Healthy: true, Version: "3.1"},
	}}
}

// rootCA is api.RootCA.
type rootCA struct{}

func (rootCA) RootCA(context.Context) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hks double CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now(), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// seed begins with a ready workspace and apps in several states.
func (w *world) seed() {
	w.mu.Lock()
	w.workspace = &agent.Workspace{
		Name: agent.DefaultWorkspace, Status: agent.WorkspaceReady, Plan: hobby(), PodLevel: "restricted", CreatedAt: time.Now().UTC(),
	}
	w.mu.Unlock()
	web := func(image string) agent.Spec {
		return agent.Spec{Components: []agent.Component{{Name: agent.DefaultComponent, Image: image, Port: 8080, Path: "/"}}, Env: madeUpEnv()}
	}
	shop := func(image string) agent.Spec {
		return agent.Spec{Env: madeUpEnv(), Components: []agent.Component{
			{Name: "backend", Image: image, Port: 3000, Path: "/api", Env: map[string]string{"LOG_LEVEL": "info"}, Secrets: []string{"API_KEY"}},
			{Name: "frontend", Image: "page:1", Port: 8080, Path: "/"},
		}}
	}
	w.past("shop", agent.Staging, shop("hello:1"))
	queue := agent.Spec{Components: []agent.Component{{Name: "mailer", Image: "hello:1"}}, Env: madeUpEnv()}
	newer := shop("hello:2")
	newer.Env["CACHE_URL"], newer.Components[0].Memory = "redis://made-up", "512Mi"
	for _, s := range []struct {
		name     string
		env      agent.Environment
		spec     agent.Spec
		replicas map[string]agent.Scale
	}{
		{"shop", agent.Production, shop("hello:1"), map[string]agent.Scale{"backend": agent.Fixed(2)}}, {"shop", agent.Staging, newer, nil},
		{"blog", agent.Staging, web("hello:1"), nil}, {"worker", agent.Staging, web("crash:1"), nil}, {"report", agent.Staging, web("missing:9"), nil},
		{"mailer", agent.Staging, queue, nil},
	} {
		_, _ = apps{w}.release(s.name, s.env, s.spec, s.replicas, agent.Release{Kind: "deploy", By: "owner"}) // the workspace is ready
	}
}

func madeUpEnv() map[string]string {
	return map[string]string{"GREETING": "hello", "API_KEY": "made-up-secret"}
}

// past begins with a release that serves already.
func (w *world) past(name string, env agent.Environment, spec agent.Spec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := apps{w}.accept(name, env, spec, nil, agent.Release{Kind: "deploy", By: "owner"})
	w.apps[keyOf(name, env)].serve(r)
}
