package registry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"hks.dev/hks/agent"
)

// choice says what of an inventory goes and what stays.
type choice struct {
	remove []removal
	spare  map[digest.Digest]bool // young blobs without a manifest: of a push that may go on
	after  int64                  // bytes that stay
}

// removal is names that go and, when nothing else leads to it, the manifest.
type removal struct {
	place
	tags     map[string]time.Time
	manifest bool
}

// rules say what may go.
type rules struct {
	uses   []agent.ImageUse
	young  time.Time // what was stored since then stays
	budget int64     // tagged images go, the oldest first, until this is kept; below 0: all that may go
}

// choose applies the rules. What stays for sure is what a release needs, base
// images under their names, and what is young; with an index its images stay.
func (inv *inventory) choose(by rules) choice {
	used := inv.users(by.uses)
	var stay, candidates []*stored
	for at, m := range inv.manifests {
		switch {
		case len(used[at]) > 0, m.at.After(by.young), m.isBase() && len(m.tags) > 0:
			stay = append(stay, m)
		case len(m.tags) > 0:
			candidates = append(candidates, m)
		}
	}
	slices.SortFunc(candidates, func(a, b *stored) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.repository, b.repository), strings.Compare(string(a.digest), string(b.digest)))
	})
	c := choice{spare: inv.unclaimed(by.young)}
	for gone := 0; ; gone++ {
		manifests, blobs := map[place]bool{}, map[digest.Digest]bool{}
		for _, m := range slices.Concat(stay, candidates[gone:]) {
			inv.reach(m, manifests, blobs)
		}
		c.after = 0
		for d, f := range inv.blobs {
			if blobs[d] || c.spare[d] {
				c.after += f.size
			}
		}
		if gone < len(candidates) && c.after > by.budget {
			continue
		}
		for at, m := range inv.manifests {
			if !manifests[at] {
				c.remove = append(c.remove, removal{place: at, tags: m.tags, manifest: true})
			}
		}
		return c
	}
}

// without chooses one name to go. The image goes with its last name, and with
// an index its images, unless something else leads to them.
func (inv *inventory) without(m *stored, tag string, by rules) choice {
	c := choice{spare: inv.unclaimed(by.young), remove: []removal{{place: m.place, tags: map[string]time.Time{tag: m.tags[tag]}}}}
	used := inv.users(by.uses)
	inside, blobs := map[place]bool{}, map[digest.Digest]bool{}
	inv.reach(m, inside, blobs)
	stay := map[place]bool{}
	for at, other := range inv.manifests {
		names := len(other.tags)
		if at == m.place {
			names--
		}
		if names > 0 || len(used[at]) > 0 || !inside[at] {
			inv.reach(other, stay, blobs)
		}
	}
	c.remove[0].manifest = !stay[m.place]
	for at := range inside {
		if at != m.place && !stay[at] {
			c.remove = append(c.remove, removal{place: at, manifest: true})
		}
	}
	return c
}

// unclaimed are the young blobs that no manifest leads to.
func (inv *inventory) unclaimed(young time.Time) map[digest.Digest]bool {
	manifests, claimed := map[place]bool{}, map[digest.Digest]bool{}
	for _, m := range inv.manifests {
		inv.reach(m, manifests, claimed)
	}
	spare := map[digest.Digest]bool{}
	for d, f := range inv.blobs {
		if !claimed[d] && f.at.After(young) {
			spare[d] = true
		}
	}
	return spare
}

// appSizes is what the images of each app's kept releases take, the largest
// first.
func (inv *inventory) appSizes(uses []agent.ImageUse) []appSize {
	blobs := map[string]map[digest.Digest]bool{}
	for at, users := range inv.users(uses) {
		m := inv.manifests[at]
		if m == nil {
			continue // an image of another registry
		}
		reached := map[digest.Digest]bool{}
		inv.reach(m, map[place]bool{}, reached)
		for _, use := range users {
			app := use.App + "/" + string(use.Environment)
			if blobs[app] == nil {
				blobs[app] = map[digest.Digest]bool{}
			}
			for d := range reached {
				blobs[app][d] = true
			}
		}
	}
	sizes := make([]appSize, 0, len(blobs))
	for app, of := range blobs {
		size := appSize{app: app}
		for d := range of {
			size.bytes += inv.blobs[d].size
		}
		sizes = append(sizes, size)
	}
	slices.SortFunc(sizes, func(a, b appSize) int { return cmp.Or(cmp.Compare(b.bytes, a.bytes), strings.Compare(a.app, b.app)) })
	return sizes
}

type appSize struct {
	app   string
	bytes int64
}
