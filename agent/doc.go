// Package agent holds the vocabulary of hks: the types that travel between
// the store, the cluster, the HTTP API, the command and the screens, the
// names of labels and taints, and the error that users see.
//
// It is floor 0: it imports the standard library only and does nothing by
// itself. The JSON form of these types is the API's form.
package agent
