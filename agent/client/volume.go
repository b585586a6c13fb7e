package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"hks.dev/hks/agent"
)

func volumePath(name, rest string) string { return "/api/volumes/" + url.PathEscape(name) + rest }

// Volumes lists the volumes, those that are only kept included.
func (c *Client) Volumes(ctx context.Context) ([]agent.Volume, error) {
	var volumes []agent.Volume
	return volumes, c.call(ctx, http.MethodGet, "/api/volumes", nil, &volumes)
}

// Volume returns one by its name or id.
func (c *Client) Volume(ctx context.Context, name string) (agent.Volume, error) {
	var volume agent.Volume
	return volume, c.call(ctx, http.MethodGet, volumePath(name, ""), nil, &volume)
}

// ResizeVolume asks for a larger volume; it grows a moment later.
func (c *Client) ResizeVolume(ctx context.Context, name, size string) (agent.Volume, error) {
	var volume agent.Volume
	return volume, c.call(ctx, http.MethodPost, volumePath(name, "/resize"), agent.VolumeResize{Size: size}, &volume)
}

// DeleteVolume lets go of a volume after its grace time, or now.
func (c *Client) DeleteVolume(ctx context.Context, name string, now bool) (agent.Volume, error) {
	var volume agent.Volume
	return volume, c.call(ctx, http.MethodDelete, volumePath(name, "?now="+strconv.FormatBool(now)), nil, &volume)
}

// RestoreVolume takes a kept volume back.
func (c *Client) RestoreVolume(ctx context.Context, name string) (agent.Volume, error) {
	var volume agent.Volume
	return volume, c.call(ctx, http.MethodPost, volumePath(name, "/restore"), nil, &volume)
}
