// Package github speaks to GitHub, or to a GitHub Enterprise Server: its REST
// API by go-github, its webhooks, and its repositories by git.
package github
