-- The one workspace and where its state machine stands.
CREATE TABLE workspace (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  name       TEXT    NOT NULL,
  status     TEXT    NOT NULL,
  step       TEXT    NOT NULL DEFAULT '',
  reason     TEXT    NOT NULL DEFAULT '',
  fix        TEXT    NOT NULL DEFAULT '',
  rename_to  TEXT    NOT NULL DEFAULT '',
  pod_level  TEXT    NOT NULL DEFAULT '',
  plan       TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
