package manifest

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema returns the JSON schema (draft 2020-12) of the file, for editors. It
// is a little wider than Parse, which also sees what keys mean together.
func Schema() []byte { return append([]byte(nil), schema...) }
