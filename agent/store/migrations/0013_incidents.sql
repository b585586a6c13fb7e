-- Incidents of the assistant. data is the incident's JSON; the columns beside
-- it are those that are searched.
CREATE TABLE incident (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  fingerprint TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  data        TEXT    NOT NULL,
  opened_at   INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  resolved_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX incident_open ON incident (fingerprint) WHERE status <> 'resolved';
CREATE INDEX incident_fingerprint ON incident (fingerprint, resolved_at);

CREATE TABLE incident_note (
  incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  at       INTEGER NOT NULL,
  text     TEXT    NOT NULL,
  by_whom  TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX incident_note_of ON incident_note (incident);

CREATE TABLE silence (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  subject     TEXT    NOT NULL,
  detector    TEXT    NOT NULL,
  fingerprint TEXT    NOT NULL,
  reason      TEXT    NOT NULL,
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  until       INTEGER NOT NULL
) STRICT;

-- What the owner said is no leak.
CREATE TABLE accepted (
  fingerprint TEXT    PRIMARY KEY,
  by_whom     TEXT    NOT NULL,
  at          INTEGER NOT NULL
) STRICT;

-- Where reports go; settings are sealed JSON.
CREATE TABLE channel (
  name       TEXT    PRIMARY KEY,
  settings   BLOB    NOT NULL,
  failure    TEXT    NOT NULL DEFAULT '',
  last_sent  INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;

-- A report on its way to one channel. ref is what the channel calls the
-- message, for later edits and threads.
CREATE TABLE delivery (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  channel    TEXT    NOT NULL REFERENCES channel (name) ON DELETE CASCADE,
  incident   INTEGER NOT NULL DEFAULT 0,
  kind       TEXT    NOT NULL,
  report     TEXT    NOT NULL,
  state      TEXT    NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  failure    TEXT    NOT NULL DEFAULT '',
  ref        TEXT    NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  next_at    INTEGER NOT NULL,
  sent_at    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX delivery_waiting ON delivery (channel, id) WHERE state = 'waiting';
CREATE INDEX delivery_of ON delivery (incident, channel);
