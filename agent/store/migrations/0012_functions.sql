-- Functions, their versions and asynchronous calls. env is sealed.
CREATE TABLE function (
  name       TEXT    PRIMARY KEY,
  active     INTEGER NOT NULL DEFAULT 0, -- version that serves; 0: none
  revision   INTEGER NOT NULL DEFAULT 1, -- goes up with each change of version or environment
  key        BLOB    NOT NULL,
  env        BLOB    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE function_version (
  function   TEXT    NOT NULL REFERENCES function (name) ON DELETE CASCADE,
  number     INTEGER NOT NULL,
  status     TEXT    NOT NULL,
  spec       TEXT    NOT NULL,
  digest     TEXT    NOT NULL DEFAULT '',
  failure    TEXT    NOT NULL DEFAULT '',
  by_whom    TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (function, number)
) STRICT;

CREATE TABLE function_letter (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  function   TEXT    NOT NULL REFERENCES function (name) ON DELETE CASCADE,
  status     TEXT    NOT NULL, -- pending, running, done, dead
  key        TEXT    NOT NULL DEFAULT '',
  headers    TEXT    NOT NULL,
  payload    BLOB    NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  error      TEXT    NOT NULL DEFAULT '',
  next_at    INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX function_letter_due ON function_letter (next_at) WHERE status IN ('pending', 'running');
CREATE UNIQUE INDEX function_letter_key ON function_letter (function, key) WHERE key != '';
