-- Who asked for which change. Only ever appended to; the oldest go when there
-- are too many or they are too old. No bodies, no queries, no secrets.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  who     TEXT    NOT NULL, -- owner, root, node/NAME, or nobody
  via     TEXT    NOT NULL, -- session, token, socket, invitation, or empty
  token   TEXT    NOT NULL, -- the token's name as it was then
  address TEXT    NOT NULL, -- where it came from
  method  TEXT    NOT NULL,
  route   TEXT    NOT NULL,
  target  TEXT    NOT NULL, -- the route's parameters
  status  INTEGER NOT NULL, -- of the answer
  code    TEXT    NOT NULL  -- of the error; empty: it was done
) STRICT;

CREATE INDEX audit_at ON audit (at);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is only appended to');
END;
