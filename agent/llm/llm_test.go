package llm

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// TestExplainGivesTheEvidenceAndNothingElse has a server speak as the API does
// and looks at what it is told.
func TestExplainGivesTheEvidenceAndNothingElse(t *testing.T) {
	var asked, authorization string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked, authorization = string(body), r.Header.Get("Authorization")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]string{"role": "assistant", "content": " Release 12 keeps\nwhat it reads.  " + strings.Repeat("x", 2000)}}}}); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sk-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := New(Config{URL: server.URL + "/v1", Model: "small", KeyFile: key, HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	incident := agent.Incident{
		Title: "web leaks", Evidence: []agent.Fact{{Name: "growth", Value: "3 MiB/min"}}, Logs: []string{"password is hunter2"}, AckedBy: "owner",
		Change: &agent.CauseChange{Release: 12, By: "someone"}, Remedies: []agent.Remedy{{Title: "Go back", Command: "hks rollback web 11"}},
	}
	text, err := m.Explain(t.Context(), incident)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "Release 12 keeps what it reads. x") || len(text) > longest+3 {
		t.Errorf("it said %q", text)
	}
	if authorization != "Bearer sk-1" || !strings.Contains(asked, "3 MiB/min") || !strings.Contains(asked, "hks rollback web 11") {
		t.Errorf("asked %s with %q", asked, authorization)
	}
	for _, no := range []string{"hunter2", "someone", "owner"} {
		if strings.Contains(asked, no) {
			t.Errorf("the model was told %q", no)
		}
	}
	status = http.StatusInternalServerError
	if _, err := m.Explain(t.Context(), incident); err == nil {
		t.Error("a failing server made an explanation")
	}
}
