-- Variables of pipelines: value is sealed. What is known of their pull requests
-- and tags, and the tests of their runs; data is JSON.
CREATE TABLE pipeline_variable (
  pipeline TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  secret   INTEGER NOT NULL,
  value    BLOB    NOT NULL,
  PRIMARY KEY (pipeline, name)
) STRICT;

-- head is the newest commit that has a run; app the preview, or empty.
CREATE TABLE pipeline_pull (
  pipeline TEXT    NOT NULL,
  number   INTEGER NOT NULL,
  head     TEXT    NOT NULL,
  app      TEXT    NOT NULL DEFAULT '',
  at       INTEGER NOT NULL,
  PRIMARY KEY (pipeline, number)
) STRICT;

-- state is seen, waiting, promoted or refused.
CREATE TABLE pipeline_tag (
  pipeline TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  sha      TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (pipeline, name)
) STRICT;

CREATE TABLE pipeline_test (
  run      INTEGER NOT NULL,
  place    INTEGER NOT NULL,
  pipeline TEXT    NOT NULL,
  sha      TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  outcome  TEXT    NOT NULL,
  data     TEXT    NOT NULL,
  PRIMARY KEY (run, place)
) STRICT;

CREATE INDEX pipeline_test_of ON pipeline_test (pipeline, name, run);
