package ui

import (
	"compress/gzip"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// What the screens may take on the wire: the first one with all it needs, and
// each of those that are fetched when they are first shown.
const (
	firstBudget = 80 << 10
	lateBudget  = 24 << 10
)

func loaded(t *testing.T) map[string]*asset {
	t.Helper()
	assets, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	return assets
}

func (a *asset) wire() int {
	if a.packed != nil {
		return len(a.packed)
	}
	return len(a.plain)
}

func TestScreensFitTheBudget(t *testing.T) {
	assets := loaded(t)
	first, all := 0, 0
	for name, a := range assets {
		all += a.wire()
		late := path.Ext(name) == ".js" && name != entry && !strings.Contains(string(assets[indexFile].plain), name)
		if !late {
			first += a.wire()
		} else if a.wire() > lateBudget {
			t.Errorf("%s takes %d bytes gzip, the budget of a late screen is %d", name, a.wire(), lateBudget)
		}
	}
	t.Logf("the first screen: %d bytes gzip of %d; all of them: %d", first, firstBudget, all)
	if first > firstBudget {
		t.Errorf("the first screen takes %d bytes gzip, the budget is %d", first, firstBudget)
	}
}

// References of modules: static imports and exports, dynamic imports.
var references = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^\s*(?:import|export)\b[^'"` + "`" + `;]*?from\s*['"]([^'"]+)['"]`),
	regexp.MustCompile(`(?m)^\s*import\s*['"]([^'"]+)['"]`),
	regexp.MustCompile(`\bimport\(\s*['"]([^'"]+)['"]`),
	regexp.MustCompile(`from"([^"]+)"`),
}

func imports(source string) []string {
	var found []string
	for _, reference := range references {
		for _, match := range reference.FindAllStringSubmatch(source, -1) {
			found = append(found, match[1])
		}
	}
	return found
}

// modules returns the text of each module as it is in the repository.
func modules(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(files, "web", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".js" {
			return err
		}
		content, err := fs.ReadFile(files, name)
		found[strings.TrimPrefix(name, "web/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryImportResolves(t *testing.T) {
	sources := modules(t)
	reached := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for _, target := range imports(sources[name]) {
			if !strings.HasPrefix(target, ".") {
				t.Errorf("%s imports %q: only relative imports resolve without an import map", name, target)
				continue
			}
			if _, ok := sources[resolve(name, target)]; !ok {
				t.Errorf("%s imports %q, which is not there", name, target)
				continue
			}
			walk(resolve(name, target))
		}
	}
	walk(entry)
	for name := range sources {
		if !reached[name] {
			t.Errorf("%s is there, but nothing imports it", name)
		}
	}
}

func TestEveryImportedNameIsExported(t *testing.T) {
	sources := modules(t)
	for name, source := range sources {
		for _, match := range importLine.FindAllStringSubmatch(source, -1) {
			target := resolve(name, match[3])
			if path.Dir(target) == "vendor" {
				continue // the type checker sees to those
			}
			for _, wanted := range strings.Split(match[1], ",") {
				wanted, _, _ = strings.Cut(strings.TrimSpace(wanted), " as ")
				if wanted != "" && !regexp.MustCompile(`(?m)^export (?:async )?(?:const|function|class) `+wanted+`\b`).MatchString(sources[target]) {
					t.Errorf("%s imports %s, which %s does not export", name, wanted, target)
				}
			}
		}
	}
}

func TestJoin(t *testing.T) {
	source := fstest.MapFS{
		"app.js": {Data: []byte(`// The beginning.
import lib from './vendor/lib.js';
import { one, Two } from './parts/one.js';

const own = 1;
/** Does it. @param {number} n */
export async function run(n) {
	// it is late
	const { default: late } = await import('./vendor/late.js');
	return lib(/** @type {any} */ (n), one, Two, own, late);
}
`)},
		"parts/one.js": {Data: []byte(`import { h, k as kind } from '../vendor/h.js';
import { h } from '../vendor/h.js';
const own = h;
export const one = own;
export class Two {} // stays
`)},
	}
	joined, err := join(source)
	if err != nil {
		t.Fatal(err)
	}
	want := `import * as library0 from './vendor/h.js';
import * as library1 from './vendor/lib.js';
const h = library0.h;
const kind = library0.k;
const lib = library1.default;
let one,Two,run;
export { one,Two,run };
{
const own = h;
one = own;
Two = class Two {} // stays
}
{
const own = 1;
run = async function(n) {
const { default: late } = await import('./vendor/late.js');
return lib((n), one, Two, own, late);
}
}
`
	if got := joined[entry]; got != want {
		t.Errorf("joined\n%s\nwant\n%s", got, want)
	}
}

func TestJoinMakesAFileOfEachLateScreen(t *testing.T) {
	joined, err := join(fstest.MapFS{
		"app.js":        {Data: []byte("import { h } from './html.js';\nconst a = () => import('./views/a.js');\nconst b = () => import('./views/b.js');\n")},
		"html.js":       {Data: []byte("export const h = 1;\n")},
		"views/a.js":    {Data: []byte("import { h } from '../html.js';\nimport { both } from '../parts/both.js';\nimport { only } from '../parts/only.js';\nexport const A = h + both + only;\n")},
		"views/b.js":    {Data: []byte("import { both } from '../parts/both.js';\nexport const B = both;\nconst again = () => import('./a.js');\n")},
		"parts/both.js": {Data: []byte("import { lib } from '../vendor/lib.js';\nimport { h } from '../html.js';\nexport const both = h + lib;\n")},
		"parts/only.js": {Data: []byte("export const only = 2;\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"app.js":     "let h;\nexport { h };\n{\nh = 1;\n}\n{\nconst a = () => import('./views/a.js');\nconst b = () => import('./views/b.js');\n}\n",
		"common.js":  "import * as library0 from './vendor/lib.js';\nimport { h } from './app.js';\nconst lib = library0.lib;\nlet both;\nexport { both };\n{\nboth = h + lib;\n}\n",
		"views/a.js": "import { h } from '../app.js';\nimport { both } from '../common.js';\nlet only,A;\nexport { only,A };\n{\nonly = 2;\n}\n{\nA = h + both + only;\n}\n",
		"views/b.js": "import { both } from '../common.js';\nlet B;\nexport { B };\n{\nB = both;\nconst again = () => import('../views/a.js');\n}\n",
	}
	if !maps.Equal(joined, want) {
		for name, text := range joined {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestJoinRefusesWhatItCannotJoin(t *testing.T) {
	for name, source := range map[string]fstest.MapFS{
		"a cycle":             {"app.js": {Data: []byte("import { a } from './a.js';\n")}, "a.js": {Data: []byte("import { b } from './app.js';\n")}},
		"a missing module":    {"app.js": {Data: []byte("import { a } from './a.js';\n")}},
		"an unknown form":     {"app.js": {Data: []byte("export { a };\n")}},
		"an import by effect": {"app.js": {Data: []byte("import './a.js';\n")}},
		"another name":        {"app.js": {Data: []byte("import { a as b } from './a.js';\n")}, "a.js": {Data: []byte("export const a = 1;\n")}},
		"two of one name":     {"app.js": {Data: []byte("import { a } from './a.js';\nexport const b = a;\n")}, "a.js": {Data: []byte("export const a = 1;\nexport const b = 1;\n")}},
		"late and at once":    {"app.js": {Data: []byte("import { a } from './a.js';\nconst b = () => import('./a.js');\n")}, "a.js": {Data: []byte("export const a = 1;\n")}},
		"a library's name":    {"app.js": {Data: []byte("import { a } from './vendor/a.js';\nexport const b = a;\nexport const a = 1;\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			if joined, err := join(source); err == nil {
				t.Errorf("joined to %q", joined)
			}
		})
	}
}

func TestIndexNamesOnlyWhatIsThereAndNothingInline(t *testing.T) {
	assets := loaded(t)
	index := string(assets[indexFile].plain)
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(index, -1) {
		if name := strings.TrimPrefix(match[1], "/"); assets[name] == nil {
			t.Errorf("index.html refers to %q, which is not there", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`<script[^>]*>([^<]*)</script>`).FindAllStringSubmatch(index, -1) {
		if strings.TrimSpace(match[1]) != "" {
			t.Errorf("index.html has an inline script, which the policy blocks: %q", match[1])
		}
	}
	if regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=`).MatchString(index) {
		t.Error("index.html has an inline style or handler, which the policy blocks")
	}
}

// Without the list in index.html the browser finds the libraries only once it
// has read the joined module.
func TestIndexPreloadsEveryModuleOfTheFirstPaint(t *testing.T) {
	assets := loaded(t)
	var listed []string
	for _, match := range regexp.MustCompile(`rel="modulepreload" href="/([^"]+)"`).FindAllStringSubmatch(string(assets[indexFile].plain), -1) {
		listed = append(listed, match[1])
	}
	needed := []string{entry}
	for _, match := range regexp.MustCompile(`(?m)^import \* as \w+ from './([^']+)';$`).FindAllStringSubmatch(string(assets[entry].plain), -1) {
		needed = append(needed, match[1])
	}
	slices.Sort(needed)
	slices.Sort(listed)
	if !slices.Equal(needed, listed) {
		t.Errorf("index.html preloads %v, the first paint needs %v", listed, needed)
	}
}

func TestNothingNeedsInlineCodeOrEval(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		"eval":              regexp.MustCompile(`\beval\s*\(`),
		"new Function":      regexp.MustCompile(`\bnew Function\b`),
		"innerHTML":         regexp.MustCompile(`dangerouslySetInnerHTML|\.innerHTML\s*=|insertAdjacentHTML|document\.write`),
		"a foreign address": regexp.MustCompile(`['"(]https?://[a-z]`),
	}
	for name, source := range modules(t) {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		for what, pattern := range forbidden {
			if found := pattern.FindString(source); found != "" {
				t.Errorf("%s uses %s: %q", name, what, found)
			}
		}
	}
}

func get(t *testing.T, target string, header map[string]string) *http.Response {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, target, nil)
	for key, value := range header {
		request.Header.Set(key, value)
	}
	recorder := httptest.NewRecorder()
	Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		path, contentType string
		status            int
	}{
		{"/", "text/html; charset=utf-8", 200},
		{"/setup?token=abc", "text/html; charset=utf-8", 200},
		{"/apps/web/staging", "text/html; charset=utf-8", 200},
		{"/app.js", "text/javascript; charset=utf-8", 200},
		{"/app.css", "text/css; charset=utf-8", 200},
		{"/vendor/preact.js", "text/javascript; charset=utf-8", 200},
		{"/vendor/", "text/html; charset=utf-8", 200}, // a screen's path, never a listing
		{"/vendor/README.md", "", 404},
		{"/vendor/preact.d.ts", "", 404},
		{"/missing.js", "", 404},
		{"/components/shell.js", "", 404}, // it is in the joined module
		{"/../ui.go", "", 404},
		{"/api", "", 404},
		{"/api/nothing", "", 404},
	} {
		t.Run(tt.path, func(t *testing.T) {
			response := get(t, tt.path, nil)
			if response.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", response.StatusCode, tt.status)
			}
			if tt.status != 200 {
				return
			}
			if got := response.Header.Get("Content-Type"); got != tt.contentType {
				t.Errorf("Content-Type %q, want %q", got, tt.contentType)
			}
			if got := response.Header.Get("Content-Security-Policy"); got != Policy {
				t.Errorf("Content-Security-Policy %q", got)
			}
		})
	}
}

func TestETagAndGzip(t *testing.T) {
	plain := get(t, "/app.js", nil)
	body, err := io.ReadAll(plain.Body)
	if err != nil {
		t.Fatal(err)
	}
	packed := get(t, "/app.js", map[string]string{"Accept-Encoding": "br, gzip"})
	if packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal("not packed")
	}
	reader, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if string(unpacked) != string(body) {
		t.Error("the packed form differs from the plain one")
	}
	if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
		t.Error("two forms share an ETag")
	}
	if refused := get(t, "/app.js", map[string]string{"Accept-Encoding": "gzip;q=0"}); refused.Header.Get("Content-Encoding") != "" {
		t.Error("packed although the client refuses gzip")
	}
	again := get(t, "/app.js", map[string]string{"Accept-Encoding": "gzip", "If-None-Match": packed.Header.Get("ETag")})
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", again.StatusCode)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	recorder := httptest.NewRecorder()
	Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", nil))
	if recorder.Code != http.StatusMethodNotAllowed {
		t.Errorf("status %d, want 405", recorder.Code)
	}
}

func TestEveryFileIsEmbeddedOrKnownToStayBehind(t *testing.T) {
	var names []string
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := contentTypes[path.Ext(name)]; !ok || strings.HasSuffix(name, ".d.ts") {
			t.Errorf("%s is embedded, but is nothing a browser needs", name)
		}
	}
}
