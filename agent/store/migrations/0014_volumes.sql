-- Volumes: disks that the agent makes, mounts, grows and keeps.
CREATE TABLE volume (
  id         TEXT    PRIMARY KEY, -- of the disk and the PersistentVolume
  namespace  TEXT    NOT NULL,
  claim      TEXT    NOT NULL,
  uid        TEXT    NOT NULL,    -- of the claim it was made for; empty once it is restored
  labels     TEXT    NOT NULL,    -- of the claim, for one that is made again
  size       INTEGER NOT NULL,    -- bytes, as it is
  asked      INTEGER NOT NULL,    -- bytes, as it is to be
  status     TEXT    NOT NULL,
  purge      INTEGER NOT NULL DEFAULT 0, -- 1: without a grace time once the claim is gone
  message    TEXT    NOT NULL DEFAULT '',
  kept_until INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;
