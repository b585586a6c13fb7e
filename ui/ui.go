// Package ui holds the web screens and serves them.
//
// The files under web are plain ES modules that any browser runs as they are,
// so a clean clone builds with go alone. For the way over the network the
// handler joins them into few; see join. The content security policy allows
// the appliance's own files and nothing else.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed web/*.html web/*.css web/*.js web/*.svg web/views/*.js web/components/*.js web/vendor/*.js web/vendor/*.css
var files embed.FS

// Policy is the content security policy of every answer: own scripts, own
// styles, own API; no inline code, no eval, no frames.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// indexFile answers every path that is a screen.
const indexFile = "index.html"

// contentTypes are the types of the files that may be embedded; the machine's
// own MIME table has no say.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is one file, ready to be sent.
type asset struct {
	plain, packed         []byte // packed is nil where gzip gains nothing
	plainETag, packedETag string
	contentType           string
}

// Handler serves the screens. Paths of files get the file, paths without a dot
// are screens and get index.html, everything under /api is not found here.
func Handler() http.Handler {
	assets, err := load(files)
	if err != nil {
		panic(fmt.Sprintf("reading the embedded screens: %v", err)) // the binary itself is broken
	}
	return handler(assets)
}

// load reads the files below web, by the path they are served at.
func load(source fs.FS) (map[string]*asset, error) {
	root, err := fs.Sub(source, "web")
	if err != nil {
		return nil, err
	}
	assets := map[string]*asset{}
	joined, err := join(root)
	if err != nil {
		return nil, err
	}
	for name, text := range joined {
		if assets[name], err = newAsset(name, []byte(text)); err != nil {
			return nil, err
		}
	}
	err = fs.WalkDir(root, ".", func(name string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() || isModule(name) {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".css" {
			content = []byte(squeezeStyle(string(content)))
		}
		assets[name], err = newAsset(name, content)
		return err
	})
	return assets, err
}

// isModule tells whether a file is served only as a part of what it is joined
// into.
func isModule(name string) bool { return path.Ext(name) == ".js" && path.Dir(name) != "vendor" }

func newAsset(name string, content []byte) (*asset, error) {
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		return nil, fmt.Errorf("%s: no content type is known for it", name)
	}
	packed, err := pack(content)
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", name, err)
	}
	sum := sha256.Sum256(content)
	tag := hex.EncodeToString(sum[:10])
	a := &asset{plain: content, plainETag: `"` + tag + `"`, packedETag: `"` + tag + `-gz"`, contentType: contentType}
	if len(packed) < len(content) {
		a.packed = packed
	}
	return a, nil
}

// pack compresses once, so that no request pays for it.
func pack(content []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

type handler map[string]*asset

// ServeHTTP answers GET and HEAD.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	a := h.find(r.URL.Path)
	if a == nil {
		http.NotFound(w, r)
		return
	}
	a.serve(w, r)
}

// find returns what answers a path; nil when nothing does.
func (h handler) find(urlPath string) *asset {
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if a, ok := h[name]; ok {
		return a
	}
	if name == "api" || strings.HasPrefix(name, "api/") || strings.Contains(path.Base("/"+name), ".") {
		return nil
	}
	return h[indexFile]
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", Policy)
	header.Set("Referrer-Policy", "no-referrer") // the set-up link holds a secret
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache") // kept, but asked about each time
	header.Set("Vary", "Accept-Encoding")

	content, tag := a.plain, a.plainETag
	if a.packed != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		content, tag = a.packed, a.packedETag
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // a broken connection is the reader's business
	}
}

// acceptsGzip tells whether an Accept-Encoding header names gzip without
// refusing it.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(coding) == "gzip" {
			weight, ok := strings.CutPrefix(strings.ReplaceAll(quality, " ", ""), "q=")
			value, err := strconv.ParseFloat(weight, 64)
			return !ok || err != nil || value > 0
		}
	}
	return false
}

// matches tells whether an If-None-Match header names the tag.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == tag || part == "*" {
			return true
		}
	}
	return false
}
