-- Apps and their releases. desired is what the owner asked for: running,
-- stopped or deleted. spec is the release's configuration as JSON without
-- environment values; env holds those, sealed. pull is the image reference
-- that pods are given, with the digest once that is known.
CREATE TABLE app (
  name        TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  desired     TEXT    NOT NULL,
  replicas    INTEGER NOT NULL,
  serving     INTEGER NOT NULL DEFAULT 0,
  restarted_at INTEGER NOT NULL DEFAULT 0,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (name, environment)
) STRICT;

CREATE TABLE release (
  app         TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  number      INTEGER NOT NULL,
  spec        TEXT    NOT NULL,
  env         BLOB    NOT NULL,
  digest      TEXT    NOT NULL DEFAULT '',
  pull        TEXT    NOT NULL DEFAULT '',
  kind        TEXT    NOT NULL,
  from_number INTEGER NOT NULL DEFAULT 0,
  by_whom     TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  failure     TEXT    NOT NULL DEFAULT '',
  created_at  INTEGER NOT NULL,
  finished_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (app, environment, number),
  FOREIGN KEY (app, environment) REFERENCES app (name, environment) ON DELETE CASCADE
) STRICT;

CREATE INDEX release_unfinished ON release (status) WHERE status IN ('pending', 'deploying');
