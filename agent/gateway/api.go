package gateway

import (
	"log/slog"
	"sync"
	"time"
)

// States of the Kubernetes API as the gateway sees it.
const (
	apiWaiting   = "waiting"   // for the credential
	apiAway      = "away"      // it does not answer
	apiConnected = "connected" // lists and watches go on
)

// unanswered is why the API counts as away before the first answer or error.
const unanswered = "it has not answered yet"

// APIStatus is what is known of the Kubernetes API.
type APIStatus struct {
	State    string    `json:"state"` // waiting, away, connected
	Since    time.Time `json:"since"`
	LastSync time.Time `json:"lastSync"`        // when it last answered
	Error    string    `json:"error,omitempty"` // why it is away
}

// apiState follows the API and logs each turn once.
type apiState struct {
	log *slog.Logger

	mu  sync.Mutex // guards now
	now APIStatus
}

func newAPIState(log *slog.Logger) *apiState {
	return &apiState{log: log, now: APIStatus{State: apiWaiting, Since: time.Now()}}
}

func (s *apiState) status() APIStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// answered notes that the API answered.
func (s *apiState) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn(apiConnected, "") {
		s.log.Info("the Kubernetes API answers")
	}
	s.now.LastSync = time.Now()
}

// failed notes that the API did not answer.
func (s *apiState) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again := s.now.Error == unanswered; s.turn(apiAway, err.Error()) || again {
		s.log.Warn("the Kubernetes API does not answer; the routes stay as they are", "error", err)
	}
}

// asking notes that the API was asked with a credential and has not answered.
func (s *apiState) asking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(apiAway, unanswered)
}

// wait notes that there is no credential to ask it with.
func (s *apiState) wait(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(apiWaiting, reason)
}

func (s *apiState) turn(state, reason string) (turned bool) {
	s.now.Error = reason
	if s.now.State == state {
		return false
	}
	s.now.State, s.now.Since = state, time.Now()
	return true
}
