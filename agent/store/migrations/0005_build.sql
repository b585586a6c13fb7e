-- Builds of images from source. request holds what the release is to be made
-- with, sealed, since there are values of its environment in it; components is
-- a JSON list.
CREATE TABLE build (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  app         TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  request     BLOB    NOT NULL,
  components  TEXT    NOT NULL DEFAULT '[]',
  release     INTEGER NOT NULL DEFAULT 0,
  by_whom     TEXT    NOT NULL,
  failure     TEXT    NOT NULL DEFAULT '',
  created_at  INTEGER NOT NULL,
  started_at  INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX build_unfinished ON build (status) WHERE status IN ('pending', 'running');
