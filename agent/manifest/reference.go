package manifest

// Bounds of an image's name. With what registries put before it, the name
// alone stays within their 255 bytes.
const (
	maxReferenceBytes = 512
	maxImageNameBytes = 200
)

// imageName is the name of an image, as the registries' own library reads it
// (a test compares the two); that library takes longer to start than hks may.
var (
	imageName = lazily(`^((?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?/)?` + // registry, or the first part
		`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)` +
		`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`) // tag and digest
	bareDigest = lazily(`^[0-9a-f]{64}$`) // would be taken for an image's id
)

func isReference(image string) bool {
	if len(image) > maxReferenceBytes || bareDigest().MatchString(image) {
		return false
	}
	m := imageName().FindStringSubmatch(image)
	return m != nil && len(m[1]) <= maxImageNameBytes
}
