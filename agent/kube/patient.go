package kube

import (
	"context"
	"io"
	"net/http"
	"time"
)

// patientPause is between two tries of a patient request.
const patientPause = time.Second

type patientKey struct{}

// Patient is a context whose reads wait until the API server answers, however
// long, and then go on within a second. It is for informers: each error that
// they meet doubles their own pause, to half a minute and more, which begins
// when the server is back.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

// patient is the transport that keeps the promise of Patient.
type patient struct{ inner http.RoundTripper }

// RoundTrip tries a patient read again until the server answers.
func (p patient) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if ctx.Value(patientKey{}) == nil || request.Method != http.MethodGet {
		return p.inner.RoundTrip(request)
	}
	for {
		response, err := p.inner.RoundTrip(request)
		switch {
		case err == nil && response.StatusCode < http.StatusInternalServerError:
			return response, nil
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if err == nil { // a server that starts or stops says so
			_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
			_ = response.Body.Close()                        // nothing was written
		}
		pause := time.NewTimer(patientPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		case <-pause.C:
		}
	}
}

// WrappedRoundTripper is for who looks for what is inside of a transport.
func (p patient) WrappedRoundTripper() http.RoundTripper { return p.inner }
