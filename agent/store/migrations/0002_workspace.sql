-- The one workspace and where its state machine stands. leftover names a
-- namespace that is to be removed: what a failed step made, or the one that a
-- rename left. deadline ends the work in hand, across restarts too.
CREATE TABLE workspace (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  name       TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  step       TEXT    NOT NULL DEFAULT '',
  reason     TEXT    NOT NULL DEFAULT '',
  fix        TEXT    NOT NULL DEFAULT '',
  rename_to  TEXT    NOT NULL DEFAULT '',
  leftover   TEXT    NOT NULL DEFAULT '',
  pod_level  TEXT    NOT NULL DEFAULT '',
  plan       TEXT    NOT NULL,
  by_whom    TEXT    NOT NULL DEFAULT '',
  deadline   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;
