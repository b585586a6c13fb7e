-- The owner, the one-time set-up link, sessions and API tokens. Secrets are
-- kept as hashes only: the password by argon2id, the others by SHA-256.
CREATE TABLE owner (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  password_hash TEXT    NOT NULL,
  created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE setup_link (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  hash       BLOB    NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
  id         TEXT    PRIMARY KEY,
  hash       BLOB    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  used_at    INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
  id         TEXT    PRIMARY KEY,
  name       TEXT    NOT NULL,
  hash       BLOB    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  used_at    INTEGER NOT NULL DEFAULT 0,
  expires_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What happened, for people; bounded by the code that writes it.
CREATE TABLE activity (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  level   TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  message TEXT    NOT NULL,
  by_whom TEXT    NOT NULL DEFAULT ''
) STRICT;
