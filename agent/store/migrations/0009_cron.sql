-- Cron jobs and the ledger of their runs. target is JSON. cursor is the last
-- slot that was decided on: what is due lies after it. A slot has one run.
CREATE TABLE cron_job (
  name        TEXT    PRIMARY KEY,
  schedule    TEXT    NOT NULL,
  time_zone   TEXT    NOT NULL,
  target      TEXT    NOT NULL,
  concurrency TEXT    NOT NULL,
  catch_up    TEXT    NOT NULL,
  deadline    INTEGER NOT NULL,
  timeout     INTEGER NOT NULL,
  paused      INTEGER NOT NULL DEFAULT 0,
  cursor      INTEGER NOT NULL,
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE cron_run (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  job         TEXT    NOT NULL REFERENCES cron_job (name) ON DELETE CASCADE,
  slot        INTEGER NOT NULL,
  manual      INTEGER NOT NULL DEFAULT 0,
  status      TEXT    NOT NULL,
  message     TEXT    NOT NULL DEFAULT '',
  exit_code   INTEGER,
  by_whom     TEXT    NOT NULL DEFAULT '',
  started_at  INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER NOT NULL DEFAULT 0,
  UNIQUE (job, slot, manual)
) STRICT;

CREATE INDEX cron_run_unfinished ON cron_run (status) WHERE status IN ('pending', 'running');
