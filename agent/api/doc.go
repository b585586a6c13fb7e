// Package api is the HTTP API of the appliance and the only package that
// knows gin: routes, authorisation, sessions, event streams and the serving of
// the screens. A handler decodes, calls one method of a lower floor through a
// small interface declared here, and encodes.
package api
