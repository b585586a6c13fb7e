// Package archive reads and writes the one file that holds a whole appliance:
// a tar, compressed by zstd, encrypted by age to the public half of the
// recovery key. It is written in one pass; what is in it, with sizes and
// SHA-256, is its last entry. age's chunks are authenticated, so that a file
// that was changed or cut short does not open.
package archive
