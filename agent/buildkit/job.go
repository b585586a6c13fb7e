package buildkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	policy "github.com/moby/buildkit/sourcepolicy/pb"

	"hks.dev/hks/agent"
)

// Job is one build.
type Job struct {
	Key          string            // of what is built, such as an app's component: files sent for it before are not sent again
	Mounts       string            // whose cache mounts (RUN --mount=type=cache) its steps see, such as an app; nobody else's builds see them
	Context      string            // folder of the source; its .dockerignore counts, and no link leads out of it
	Dockerfile   []byte            // the recipe; nil takes File
	Ignore       []string          // patterns of what is no part of Context, for a recipe of Dockerfile and a Context without a .dockerignore
	File         string            // the recipe's path within Context; default Dockerfile
	Target       string            // stage to build; default the last
	Args         map[string]string // build arguments; they stay in the image's history, so never a secret
	Secrets      map[string][]byte // for RUN --mount=type=secret,id=NAME; at most 500 KB each
	Labels       map[string]string // of the image
	Push         string            // REPOSITORY:TAG in the appliance's registry; empty throws the result away
	Archive      string            // file that gets the result as a tar archive, instead of Push
	ArchiveLimit int64             // bytes of Archive; what is larger fails; 0: no limit
	Apart        string            // name of a cache of its own: its steps take nothing from other builds, and leave nothing to them
	Fresh        bool              // without the cache
	Epoch        time.Time         // of files and history, for images that come out the same each time; zero keeps the clock's
	Carried      []string          // base images of the appliance, told when another can't be had
}

// secretCA is the secret that holds the certificates of build.ca.
const secretCA = "ca"

// options puts a job in BuildKit's words. done is to be called after the solve.
func (c *Client) options(job Job) (opt client.SolveOpt, done func(), err error) {
	opt.Frontend = "dockerfile.v0"
	opt.FrontendAttrs = map[string]string{
		// The frontend is the daemon's own, whatever "# syntax=" asks for:
		// another one would be a program fetched from elsewhere.
		"cmdline": "dockerfile.v0",
	}
	if job.Apart != "" {
		// A part of each step's key, and of nothing that is in the image.
		opt.FrontendAttrs["hostname"] = job.Apart
	}
	if c.cfg.Network == NetworkNone {
		opt.FrontendAttrs["force-network-mode"] = "none"
	}
	if job.Target != "" {
		opt.FrontendAttrs["target"] = job.Target
	}
	if job.Fresh {
		opt.FrontendAttrs["no-cache"] = ""
	}
	for name, value := range job.Args {
		opt.FrontendAttrs["build-arg:"+name] = value
	}
	// After the project's own arguments: it can't name another's.
	opt.FrontendAttrs["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = job.Mounts
	for name, value := range job.Labels {
		opt.FrontendAttrs["label:"+name] = value
	}
	if !job.Epoch.IsZero() {
		opt.FrontendAttrs["build-arg:SOURCE_DATE_EPOCH"] = strconv.FormatInt(job.Epoch.Unix(), 10)
	}
	if opt.Exports, err = c.exports(job); err != nil {
		return opt, nil, err
	}
	secrets, err := c.secrets(job)
	if err != nil {
		return opt, nil, err
	}
	opt.Session = []session.Attachable{secretsprovider.FromMap(secrets), &registryAuth{registry: c.cfg.Registry()}}
	opt.SourcePolicy = ownImages(c.cfg.Registry().Address)
	opt.SharedKey = job.Key
	folders, err := openFolders(job)
	if err != nil {
		return opt, nil, err
	}
	opt.LocalMounts = folders.mounts()
	opt.FrontendAttrs["filename"] = folders.filename
	return opt, folders.close, nil
}

// ownImages has images of the own registry fetched from its address. A mirror
// in the daemon's settings would do as well, but for an image that is not there
// it goes on to ask name servers for a name that none of them knows.
func ownImages(address string) *policy.Policy {
	return &policy.Policy{Rules: []*policy.Rule{{
		Action:   policy.PolicyAction_CONVERT,
		Selector: &policy.Selector{Identifier: "docker-image://" + agent.RegistryHost + "/*", MatchType: policy.MatchType_WILDCARD},
		Updates:  &policy.Update{Identifier: "docker-image://" + address + "/${1}"},
	}}}
}

// exports tells where the image goes.
func (c *Client) exports(job Job) ([]client.ExportEntry, error) {
	if job.Archive != "" {
		return []client.ExportEntry{{Type: client.ExporterTar, Output: func(map[string]string) (io.WriteCloser, error) {
			file, err := os.OpenFile(job.Archive, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
			if err != nil || job.ArchiveLimit == 0 {
				return file, err
			}
			return &boundedFile{WriteCloser: file, left: job.ArchiveLimit}, nil
		}}}, nil
	}
	if job.Push == "" {
		return nil, nil
	}
	named, err := reference.ParseNormalizedNamed(agent.RegistryHost + "/" + job.Push)
	if err != nil {
		return nil, fmt.Errorf("naming the image %q: %w", job.Push, err)
	}
	if _, ok := named.(reference.Tagged); !ok {
		return nil, fmt.Errorf("naming the image %q: it has no tag", job.Push)
	}
	attrs := map[string]string{
		"name":           c.cfg.Registry().Address + "/" + job.Push,
		"push":           "true",
		"oci-mediatypes": "true",
		// Quick before small: it stays on this machine.
		"compression":       "zstd",
		"compression-level": "1",
	}
	if !job.Epoch.IsZero() {
		attrs["rewrite-timestamp"] = "true"
	}
	return []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}, nil
}

// boundedFile takes up to a number of bytes.
type boundedFile struct {
	io.WriteCloser
	left int64
}

// Write fails once the file would be too large.
func (b *boundedFile) Write(data []byte) (int, error) {
	if b.left -= int64(len(data)); b.left < 0 {
		return 0, errors.New("the archive is larger than it may be")
	}
	return b.WriteCloser.Write(data)
}

// secrets are the job's, and the network's certificates.
func (c *Client) secrets(job Job) (map[string][]byte, error) {
	secrets := maps.Clone(job.Secrets)
	if secrets == nil {
		secrets = map[string][]byte{}
	}
	if _, taken := secrets[secretCA]; c.cfg.CA != "" && !taken {
		bundle, err := os.ReadFile(c.cfg.CA)
		if err != nil {
			return nil, agent.Errorf(agent.CodeBuilderAway, "correct build.ca in config.yaml", "builds can't run without the certificates of build.ca: %w", err)
		}
		secrets[secretCA] = bundle
	}
	for name, value := range secrets {
		if len(value) > secretsprovider.MaxSecretSize {
			return nil, agent.Errorf(agent.CodeInvalid, "make it smaller", "the build secret %s has %d bytes, more than the %d allowed", name, len(value), secretsprovider.MaxSecretSize)
		}
	}
	return secrets, nil
}
