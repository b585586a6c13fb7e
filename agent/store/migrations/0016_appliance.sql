-- The appliance's own archives, the jobs that make and try them, and the key
-- that opens them (sealed: it is in each archive too, for the drill).
CREATE TABLE appliance_backup (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  file         TEXT    NOT NULL UNIQUE,
  bytes        INTEGER NOT NULL,
  sha256       TEXT    NOT NULL,
  trigger_word TEXT    NOT NULL,
  by_whom      TEXT    NOT NULL,
  contents     TEXT    NOT NULL, -- JSON
  remote       TEXT    NOT NULL DEFAULT '',
  copy_error   TEXT    NOT NULL DEFAULT '',
  drill        TEXT    NOT NULL DEFAULT '', -- JSON of the last one
  created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE appliance_job (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  kind        TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  steps       TEXT    NOT NULL DEFAULT '[]',
  trigger_word TEXT   NOT NULL,
  volumes     INTEGER NOT NULL DEFAULT 0,
  backup      INTEGER NOT NULL DEFAULT 0,
  failure     TEXT    NOT NULL DEFAULT '',
  by_whom     TEXT    NOT NULL,
  attempts    INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0, -- whoever does it says so again and again
  deadline    INTEGER NOT NULL DEFAULT 0,
  created_at  INTEGER NOT NULL,
  started_at  INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX appliance_job_one_at_a_time ON appliance_job ((1)) WHERE status IN ('pending', 'running');

CREATE TABLE recovery_key (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  sealed   BLOB    NOT NULL,
  shown_at INTEGER NOT NULL DEFAULT 0
) STRICT;
