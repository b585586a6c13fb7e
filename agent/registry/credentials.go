package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
)

// credentials are the one name and password of the registry, random per
// installation. Nodes have them through registries.yaml.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// loadCredentials reads the file, or makes it at the first start.
func loadCredentials(file string) (credentials, error) {
	var c credentials
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c = credentials{Username: "hks", Password: rand32()}
		text, err := json.Marshal(c)
		if err != nil {
			return c, fmt.Errorf("writing the registry's password: %w", err)
		}
		return c, writeFile(file, text)
	case err != nil:
		return c, fmt.Errorf("reading the registry's password: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil || c.Username == "" || c.Password == "" {
		return c, fmt.Errorf("reading the registry's password: %s is damaged; remove it and restart, a new one is made (%w)", file, err)
	}
	return c, nil
}

// rand32 is a random string with at least 128 bits.
func rand32() string { return rand.Text() }

// guard lets only those in who know the password.
func (c credentials) guard(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(c.Username + "\x00" + c.Password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(name + "\x00" + password))
		if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="hks registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// refuse answers in the form of the registry's API.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	w.WriteHeader(status)
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}}) // the client has gone
}
