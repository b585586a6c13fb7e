package agent

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Closed grammars. Everything that reaches the cluster, the disk or another
// process under a user's name passes one of these first.
var (
	nameGrammar = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	envGrammar  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostGrammar = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$`)
	pathGrammar = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$`)
)

// MaxNameLength keeps NAME-production-NUMBER within a DNS label of 63 octets.
const MaxNameLength = 40

// ValidateName checks the name of an app or a workspace.
func ValidateName(kind, name string) error {
	if len(name) > MaxNameLength || !nameGrammar.MatchString(name) {
		return invalid("name", name, fmt.Sprintf("the %s name %q is not valid", kind, name),
			fmt.Sprintf("use up to %d lower-case letters, digits and dashes, beginning with a letter", MaxNameLength))
	}
	return nil
}

// ValidateEnvName checks the name of an environment variable (POSIX).
func ValidateEnvName(name string) error {
	if !envGrammar.MatchString(name) {
		return invalid("env", name, fmt.Sprintf("%q is not a name of an environment variable", name),
			"write it as KEY=VALUE; KEY has letters, digits and underscores and does not begin with a digit")
	}
	return nil
}

// ValidateHost checks a DNS host name (RFC 1123), in lower case, without a port.
func ValidateHost(host string) error {
	if len(host) > 253 || !hostGrammar.MatchString(host) {
		return invalid("host", host, fmt.Sprintf("%q is not a host name", host), "give a host such as www.example.com, in lower case and without a port")
	}
	return nil
}

// ValidatePath checks an absolute URL path (RFC 3986) without query or fragment.
func ValidatePath(field, path string) error {
	if len(path) > 1024 || !pathGrammar.MatchString(path) || strings.Contains(path, "/../") || strings.HasSuffix(path, "/..") {
		return invalid(field, path, fmt.Sprintf("%q is not an absolute URL path", path), "begin it with / and leave out ? and #")
	}
	return nil
}

// ValidateMountPath checks a folder in a container where a volume is to be.
func ValidateMountPath(folder string) error {
	taken := slices.ContainsFunc([]string{"/proc", "/sys", "/dev"}, func(system string) bool {
		return folder == system || strings.HasPrefix(folder, system+"/")
	})
	if len(folder) > 512 || !pathGrammar.MatchString(folder) || strings.Contains(folder, ":") || path.Clean(folder) != folder || folder == "/" || taken {
		return invalid("path", folder, fmt.Sprintf("%.80q can't be the folder of a volume", folder), "give an absolute path in the container, such as /data, outside of /proc, /sys and /dev")
	}
	return nil
}

// ValidatePort checks a TCP port.
func ValidatePort(port int) error {
	if port < 1 || port > 65535 {
		return invalid("port", port, fmt.Sprintf("%d is not a TCP port", port), "give the port that the container listens on, from 1 to 65535")
	}
	return nil
}

func invalid(field string, value any, message, fix string) *Error {
	return &Error{Code: CodeInvalid, Message: message, Fix: fix, Details: map[string]any{"field": field, "value": value}}
}
