// Package market installs services from the marketplace, connects them to
// apps, and keeps backups of what is in them. A service is a row; each long
// work on it is a job, one at a time, which is taken up again after the agent's
// end, except a restore: that is told to have been cut off.
package market
