-- The connection to GitHub (one row), pipelines, their runs, and what came in
-- by their webhooks. secret columns are sealed; data is JSON.
CREATE TABLE github (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  data   TEXT NOT NULL,
  secret BLOB NOT NULL
) STRICT;

CREATE TABLE pipeline (
  name   TEXT PRIMARY KEY,
  head   TEXT NOT NULL DEFAULT '',
  data   TEXT NOT NULL,
  secret BLOB NOT NULL
) STRICT;

CREATE TABLE pipeline_run (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  pipeline TEXT NOT NULL,
  status   TEXT NOT NULL,
  data     TEXT NOT NULL
) STRICT;

CREATE INDEX pipeline_run_unfinished ON pipeline_run (status) WHERE status IN ('pending', 'running');
CREATE INDEX pipeline_run_of ON pipeline_run (pipeline, id);

CREATE TABLE pipeline_delivery (
  number   INTEGER PRIMARY KEY AUTOINCREMENT,
  pipeline TEXT NOT NULL,
  id       TEXT NOT NULL,
  outcome  TEXT NOT NULL,
  data     TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX pipeline_delivery_once ON pipeline_delivery (pipeline, id) WHERE outcome = 'accepted';
