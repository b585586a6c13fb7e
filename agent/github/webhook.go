package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	gh "github.com/google/go-github/v60/github"
)

// MaxPayload is the largest webhook that GitHub sends, in bytes.
const MaxPayload = 25 << 20

// Why a webhook is not taken.
var (
	ErrForged    = errors.New("its signature is not that of the secret")
	ErrOversized = fmt.Errorf("it is larger than %d MB", MaxPayload>>20)
)

// Hook is what a verified webhook says. It is a hint only: what is built is
// asked of GitHub.
type Hook struct {
	Event      string
	Ref        string // of a push
	Repository string // OWNER/NAME
	Deleted    bool   // the branch is gone
}

// ReadHook reads and verifies a webhook. go-github would accept an empty
// secret without a signature, and SHA-1, and would read without bound: none of
// these gets that far.
func ReadHook(r *http.Request, secret string) (Hook, error) {
	if r.ContentLength > MaxPayload {
		return Hook{}, ErrOversized
	}
	signature := r.Header.Get(gh.SHA256SignatureHeader)
	if secret == "" || len(signature) != len("sha256=")+64 || signature[:7] != "sha256=" {
		return Hook{}, ErrForged
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return Hook{}, ErrOversized
		}
		return Hook{}, fmt.Errorf("reading a webhook: %w", err)
	}
	if len(body) > MaxPayload {
		return Hook{}, ErrOversized
	}
	if err := gh.ValidateSignature(signature, body, []byte(secret)); err != nil {
		return Hook{}, ErrForged
	}
	hook := Hook{Event: r.Header.Get(gh.EventTypeHeader)}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return hook, errors.New("it is not JSON")
	}
	var payload struct {
		Ref        string `json:"ref"`
		Deleted    bool   `json:"deleted"`
		Repository struct {
			Name string `json:"full_name"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		return hook, errors.New("its JSON can't be read")
	}
	hook.Ref, hook.Repository, hook.Deleted = payload.Ref, payload.Repository.Name, payload.Deleted
	return hook, nil
}
