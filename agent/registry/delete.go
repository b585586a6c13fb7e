package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"hks.dev/hks/agent"
)

// Delete removes one name of an image, and the image with its blobs when no
// other name leads to it. It is refused when a kept release needs the image,
// and for base images; who asked does so on purpose, so there is no grace.
func (r *Registry) Delete(ctx context.Context, name, by string) (agent.ImagePrune, error) {
	named, err := parseName(name)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	if _, digested := named.(reference.Digested); digested {
		return agent.ImagePrune{}, agent.Errorf(agent.CodeInvalid, "hks image list shows the names", "an image is removed by its name and tag, not by its digest")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pruneWithin)
	defer cancel()
	open, err := r.closeGate(ctx)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	defer open()
	uses, err := r.uses(ctx)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	inv, err := r.inventory(ctx)
	if err != nil {
		return agent.ImagePrune{}, err
	}
	repository, _ := ownPath(named)
	tag := tagOrLatest(named)
	m := inv.find(repository, tag)
	if m == nil {
		return agent.ImagePrune{}, agent.Errorf(agent.CodeNotFound, "hks image list shows what it has", "the appliance's own registry has no image %s:%s", repository, tag)
	}
	if m.isBase() {
		return agent.ImagePrune{}, agent.Errorf(agent.CodeConflict, "", "%s:%s is a base image of the appliance: builds need it", repository, tag)
	}
	if users := inv.users(uses)[m.place]; len(users) > 0 {
		return agent.ImagePrune{}, &agent.Error{
			Code:    agent.CodeConflict,
			Message: fmt.Sprintf("%s:%s is needed by %s", repository, tag, releasesOf(users)),
			Fix:     "deploy another image until these releases are no longer kept, or delete the app: hks app delete APP",
			Details: map[string]any{"usedBy": users},
		}
	}
	done, _, err := r.carryOut(ctx, inv, inv.without(m, tag, r.rules(uses, keepAll)))
	if err != nil {
		return agent.ImagePrune{}, err
	}
	r.cfg.Record(ctx, agent.Activity{
		Level: "info", Subject: "images", By: by,
		Message: fmt.Sprintf("the image %s:%s was removed, %s freed", repository, tag, mebibytes(done.FreedBytes)),
	})
	return done, nil
}

// find is the manifest under a name; nil when there is none.
func (inv *inventory) find(repository, tag string) *stored {
	for at, m := range inv.manifests {
		if _, ok := m.tags[tag]; ok && at.repository == repository {
			return m
		}
	}
	return nil
}

// releasesOf names releases, those of one app together.
func releasesOf(users []agent.ImageUse) string {
	numbers := map[string][]string{}
	for _, use := range users {
		app := use.App + "/" + string(use.Environment)
		numbers[app] = append(numbers[app], strconv.Itoa(use.Release))
	}
	texts := make([]string, 0, len(numbers))
	for _, app := range slices.Sorted(maps.Keys(numbers)) {
		word := "release"
		if len(numbers[app]) > 1 {
			word = "releases"
		}
		texts = append(texts, fmt.Sprintf("%s %s of %s", word, strings.Join(numbers[app], ", "), app))
	}
	return strings.Join(texts, "; ")
}
