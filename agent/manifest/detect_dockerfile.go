package manifest

import (
	"strings"
)

var (
	continued   = lazily(`\\[ \t]*\r?\n`)
	fromLine    = lazily(`(?i)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$`)
	exposeLine  = lazily(`(?i)^EXPOSE\s+.*?\b(\d{1,5})(?:/tcp)?(?:\s|$)`)
	testStage   = lazily(`^(?i)tests?$`)
	portSetting = lazily(`(?i)^ENV\s+.*\bPORT[= ]"?(\d{2,5})`)
)

func detectDockerfile(f folder) (*Detection, error) {
	name := f.first("Dockerfile", "Containerfile")
	if name == "" {
		return nil, nil
	}
	text, _, err := f.read(name)
	if err != nil {
		return nil, err
	}
	d := &Detection{Template: TemplateDockerfile, Kind: KindBackend, Dockerfile: name}
	d.found("%s: the image is built as it says", name)
	port, from := 0, false
	for line := range strings.SplitSeq(continued().ReplaceAllString(text, " "), "\n") {
		line = strings.TrimSpace(line)
		if m := fromLine().FindStringSubmatch(line); m != nil {
			from, port = true, 0 // what earlier stages expose is not the image's
			if testStage().MatchString(m[2]) && targetGrammar().MatchString(m[2]) {
				d.TestTarget = m[2]
			}
		}
		if found := portIn(line, exposeLine, portSetting); found > 0 && (port == 0 || exposeLine().MatchString(line)) {
			port = found
		}
	}
	if !from {
		d.found("%s has no FROM: it can't be built as it is", name)
	}
	if d.TestTarget != "" {
		d.found("%s: the stage %s", name, d.TestTarget)
	}
	d.listens(port, name)
	return d, nil
}
