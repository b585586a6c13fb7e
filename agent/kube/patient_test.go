package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// apiServer is a double of one that is away until it is up. Nobody is in it.
type apiServer struct {
	up    time.Time
	away  func() (*http.Response, error)
	tries int
}

func (s *apiServer) RoundTrip(request *http.Request) (*http.Response, error) {
	s.tries++
	if time.Now().Before(s.up) {
		return s.away()
	}
	if request.URL.Query().Get("watch") != "" {
		reader, writer := io.Pipe() // silent until the request ends
		go func() {                 // ends with the request at the latest
			_, _ = io.WriteString(writer, `{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}}`)
		}()
		context.AfterFunc(request.Context(), func() { _ = writer.CloseWithError(request.Context().Err()) })
		return answered(http.StatusOK, reader), nil
	}
	return answered(http.StatusOK, io.NopCloser(strings.NewReader(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`))), nil
}

func answered(status int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// Informers see what there is within two seconds of the API server's return,
// however long it was away.
func TestInformersDoNotWaitForTheirOwnPause(t *testing.T) {
	for title, away := range map[string]func() (*http.Response, error){
		"does not listen": func() (*http.Response, error) { return nil, syscall.ECONNREFUSED },
		"is starting": func() (*http.Response, error) {
			return answered(http.StatusServiceUnavailable, io.NopCloser(strings.NewReader("not yet"))), nil
		},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &apiServer{up: time.Now().Add(5 * time.Minute), away: away}
				client, err := connect(&rest.Config{Host: "https://cluster.invalid", Transport: server}, Config{})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				factory := client.Informers("dev-workspace")
				informer := factory.Core().V1().Pods().Informer()
				factory.StartWithContext(Patient(ctx))
				time.Sleep(time.Until(server.up) - time.Millisecond)
				synctest.Wait()
				if informer.HasSynced() {
					t.Fatal("it has seen what is not there")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if !informer.HasSynced() {
					t.Errorf("two seconds after the server is back nothing was seen; it was asked %d times", server.tries)
				}
				cancel()
				factory.Shutdown()
			})
		})
	}
}

// What nobody asked to be patient fails at once, as do a patient request whose
// context ends and one that would change something.
func TestOnlyPatientReadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{up: time.Now().Add(time.Hour), away: func() (*http.Response, error) { return nil, syscall.ECONNREFUSED }}
		client, err := connect(&rest.Config{Host: "https://cluster.invalid", Transport: server}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		pods := client.Interface().CoreV1().Pods("dev-workspace")
		began := time.Now()
		if _, err := pods.List(t.Context(), metav1.ListOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a plain read: %v", err)
		}
		if err := pods.Delete(Patient(t.Context()), "p", metav1.DeleteOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a change: %v", err)
		}
		if waited := time.Since(began); waited >= patientPause {
			t.Errorf("they waited for %s", waited)
		}
		ctx, cancel := context.WithTimeout(Patient(t.Context()), 10*time.Second)
		defer cancel()
		if _, err := pods.List(ctx, metav1.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a patient read whose time is over: %v", err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 11*time.Second {
			t.Errorf("it waited for %s", waited)
		}
	})
}
