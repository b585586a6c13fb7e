-- Machines that were invited to join. token is the SHA-256 of the one-time
-- secret; machine is who has used it. steps is a JSON list.
CREATE TABLE node (
  name        TEXT    PRIMARY KEY,
  status      TEXT    NOT NULL,
  message     TEXT    NOT NULL DEFAULT '',
  fix         TEXT    NOT NULL DEFAULT '',
  token       BLOB    NOT NULL,
  expires_at  INTEGER NOT NULL,
  machine     TEXT    NOT NULL DEFAULT '',
  steps       TEXT    NOT NULL DEFAULT '[]',
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  changed_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX node_token ON node (token);
