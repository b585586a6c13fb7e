-- Custom domains belong to an app and outlive its releases. chain and key are a
-- certificate of the owner's own; the key is sealed. seen is the last look at
-- the domain as JSON. maintenance is the app's maintenance page as JSON, empty
-- when the app answers itself. routing counts the changes of what an app's
-- routes are made of beside its release, and routed is the count that the
-- cluster was told.
CREATE TABLE domain (
  host        TEXT    NOT NULL PRIMARY KEY,
  app         TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  component   TEXT    NOT NULL DEFAULT '',
  chain       TEXT    NOT NULL DEFAULT '',
  key         BLOB    NOT NULL DEFAULT x'',
  seen        TEXT    NOT NULL DEFAULT '{}',
  retry_at    INTEGER NOT NULL DEFAULT 0,
  by_whom     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX domain_app ON domain (app, environment);

ALTER TABLE app ADD COLUMN maintenance TEXT NOT NULL DEFAULT '';
ALTER TABLE app ADD COLUMN routing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE app ADD COLUMN routed INTEGER NOT NULL DEFAULT 0;
