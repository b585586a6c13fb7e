package detect

import "strings"

// Workload returns what a pod belongs to, told from its name: without the
// suffixes that a ReplicaSet, a Deployment, a StatefulSet or a Job give it.
// It is the app where the pod has no name.
func Workload(app, pod string) string {
	if pod == "" {
		return app
	}
	name := pod
	if rest, last, ok := cutLast(name); ok && len(last) == 5 && random(last) {
		name = rest
		if rest, last, ok := cutLast(name); ok && len(last) >= 6 && len(last) <= 10 && random(last) {
			name = rest
		}
	} else if ok && digits(last) {
		name = rest
	}
	return name
}

// fingerprint names one trouble.
func fingerprint(app, workload, container, detector string) string {
	return app + "|" + workload + "|" + container + "|" + detector
}

func cutLast(name string) (rest, last string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// random tells whether a part of a name looks made up: Kubernetes takes
// consonants and digits for it, so that no word comes out.
func random(part string) bool {
	vowels, figures := 0, 0
	for _, c := range part {
		switch {
		case c >= '0' && c <= '9':
			figures++
		case strings.ContainsRune("aeiou", c):
			vowels++
		case c < 'a' || c > 'z':
			return false
		}
	}
	return figures > 0 || vowels == 0
}

func digits(part string) bool {
	return strings.Trim(part, "0123456789") == ""
}
