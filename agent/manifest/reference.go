package manifest

// imageName is the name of an image, as the registries' own library reads it
// (a test compares the two); that library takes longer to start than hks may.
var imageName = lazily(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?` + // registry, or the first part of the name
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*` + // name
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`) // tag and digest

func isReference(image string) bool {
	return len(image) <= maxReferenceBytes && imageName().MatchString(image)
}
