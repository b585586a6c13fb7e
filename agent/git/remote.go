package git

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"

	"hks.dev/hks/agent"
)

// Remote is where a repository is, and how to be let in.
type Remote struct {
	URL     string // https://HOST/PATH or ssh://USER@HOST:PORT/PATH; plain HTTP on the loopback only
	Basic   string // user:password of HTTPS; a secret
	Key     string // private key of SSH, PEM; a secret
	HostKey string // of the SSH server, as a line of known_hosts without the host; it alone is taken
}

var (
	shaGrammar    = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	pathGrammar   = regexp.MustCompile(`^/[A-Za-z0-9._~/+@-]{1,300}$`)
	userGrammar   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
	scpGrammar    = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*)@([A-Za-z0-9.-]+):([A-Za-z0-9._~+@-][A-Za-z0-9._~/+@-]*)$`)
	branchGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@#=-]{0,199}$`)
)

// ParseURL checks where a repository is. git@HOST:PATH is taken too, and
// written as ssh://git@HOST/PATH. A password in it is refused: it would show.
func ParseURL(text string) (string, error) {
	if m := scpGrammar.FindStringSubmatch(text); m != nil && !strings.Contains(text, "://") {
		text = "ssh://" + m[1] + "@" + m[2] + "/" + m[3]
	}
	u, err := url.Parse(text)
	refused := agent.Errorf(agent.CodeInvalid, "give it as https://HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git", "%q is not the address of a git repository", text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || !pathGrammar.MatchString(u.Path) || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return "", refused
	}
	switch u.Scheme {
	case "https":
	case "http":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", agent.Errorf(agent.CodeInvalid, "use https:// or SSH", "over plain HTTP anybody could change what is built")
		}
	case "ssh":
		if u.User == nil {
			u.User = url.User("git")
		}
		if _, has := u.User.Password(); has || !userGrammar.MatchString(u.User.Username()) {
			return "", refused
		}
		return u.String(), nil
	default:
		return "", refused
	}
	if u.User != nil {
		return "", agent.Errorf(agent.CodeInvalid, "give the password apart: it is kept sealed", "a password in an address would be shown")
	}
	return u.String(), nil
}

func (r Remote) scheme() string {
	scheme, _, _ := strings.Cut(r.URL, "://")
	return scheme
}
