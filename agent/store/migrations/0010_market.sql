-- What was installed from the marketplace. chart_values is JSON; users lists
-- the names of users that are to be dropped at the next chance.
CREATE TABLE service (
  name         TEXT    PRIMARY KEY,
  chart        TEXT    NOT NULL,
  version      TEXT    NOT NULL,
  archive      TEXT    NOT NULL DEFAULT '', -- file of a chart of the owner's own
  engine       TEXT    NOT NULL DEFAULT '',
  image        TEXT    NOT NULL DEFAULT '',
  chart_values TEXT    NOT NULL,
  storage      INTEGER NOT NULL,
  user_name    TEXT    NOT NULL,
  old_users    TEXT    NOT NULL DEFAULT '[]',
  status       TEXT    NOT NULL,
  by_whom      TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  kept_until   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE service_job (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  service     TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  args        TEXT    NOT NULL,
  steps       TEXT    NOT NULL DEFAULT '[]',
  backup      INTEGER NOT NULL DEFAULT 0,
  failure     TEXT    NOT NULL DEFAULT '',
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  started_at  INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX service_job_one_at_a_time ON service_job (service) WHERE status IN ('pending', 'running');

CREATE TABLE service_binding (
  service     TEXT    NOT NULL,
  app         TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  prefix      TEXT    NOT NULL,
  names       TEXT    NOT NULL,
  release     INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  PRIMARY KEY (service, app, environment)
) STRICT;

CREATE TABLE service_backup (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  service        TEXT    NOT NULL,
  engine         TEXT    NOT NULL,
  app_version    TEXT    NOT NULL,
  trigger_word   TEXT    NOT NULL,
  by_whom        TEXT    NOT NULL,
  bytes          INTEGER NOT NULL,
  sha256         TEXT    NOT NULL,
  tables         TEXT    NOT NULL,
  remote         TEXT    NOT NULL DEFAULT '',
  verified_at    INTEGER NOT NULL DEFAULT 0,
  verified_good  INTEGER NOT NULL DEFAULT 0,
  verified_words TEXT    NOT NULL DEFAULT '',
  created_at     INTEGER NOT NULL
) STRICT;

-- Where copies of backups go; sealed, since its key is in it.
CREATE TABLE backup_target (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  sealed BLOB    NOT NULL
) STRICT;
