// Package schedule runs cron jobs. The grammar is that of robfig/cron; when a
// job is due is found out here, by comparing the wall clock with a ledger on
// disk, so that no slot is lost or run twice, whatever dies, and so that the
// days on which clocks change are as people expect.
package schedule
