package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

// An upload has no deadline as a whole: only a stall ends it, and after the
// last byte the appliance gets a while to push what it got.
const (
	uploadStall = 2 * time.Minute
	pushTimeout = 15 * time.Minute
)

// Images lists the images of the appliance's own registry.
func (c *Client) Images(ctx context.Context) ([]agent.Image, error) {
	var images []agent.Image
	err := c.call(ctx, http.MethodGet, "/api/images", nil, &images)
	return images, err
}

// ImageUsage tells what the registry takes on the disk, and of what budget.
func (c *Client) ImageUsage(ctx context.Context) (agent.ImageUsage, error) {
	var usage agent.ImageUsage
	err := c.call(ctx, http.MethodGet, "/api/images/usage", nil, &usage)
	return usage, err
}

// PruneImages removes the images that nobody needs, and tells which; a dry
// run only tells.
func (c *Client) PruneImages(ctx context.Context, dryRun bool) (agent.ImagePrune, error) {
	var done agent.ImagePrune
	err := c.callWithin(ctx, pushTimeout, http.MethodPost, "/api/images/prune?dryRun="+strconv.FormatBool(dryRun), nil, &done)
	return done, err
}

// DeleteImage removes one image, named NAME:TAG.
func (c *Client) DeleteImage(ctx context.Context, name string) (agent.ImagePrune, error) {
	var done agent.ImagePrune
	err := c.callWithin(ctx, pushTimeout, http.MethodDelete, "/api/images/"+(&url.URL{Path: name}).EscapedPath(), nil, &done)
	return done, err
}

// LoadImage uploads a docker-archive or OCI tar of size bytes, -1 when that is
// not known. progress is told how many bytes went out; it may be nil. When tar
// fails with an *agent.Error, that is the answer.
func (c *Client) LoadImage(ctx context.Context, tar io.Reader, size int64, progress func(sent int64)) ([]agent.Image, error) {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(uploadStall, func() { cancel(errSilent) })
	defer stall.Stop()
	var sent int64
	body := &countedReader{r: tar, count: func(n int, ended bool) {
		sent += int64(n)
		if ended || sent == size {
			stall.Reset(pushTimeout)
		} else {
			stall.Reset(uploadStall)
		}
		if progress != nil {
			progress(sent)
		}
	}}
	req, err := c.request(limited, http.MethodPost, "/api/images", body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/x-tar")
	req.Header.Set("Expect", "100-continue") // a refusal comes before gigabytes are sent
	answer, err := c.send(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	var images []agent.Image
	return images, c.decode(ctx, answer, &images)
}

// countedReader tells how much was read, and of the end.
type countedReader struct {
	r     io.Reader
	count func(n int, ended bool)
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.count(n, err != nil)
	return n, err
}
