-- Moves of volumes between machines: one a claim at a time. source is kept
-- until the move is confirmed; claim_notes are the claim's annotations (JSON).
CREATE TABLE volume_move (
  namespace   TEXT    NOT NULL,
  claim       TEXT    NOT NULL,
  source      TEXT    NOT NULL,
  target      TEXT    NOT NULL,
  from_node   TEXT    NOT NULL,
  to_node     TEXT    NOT NULL,
  phase       TEXT    NOT NULL,
  claim_notes TEXT    NOT NULL,
  total       INTEGER NOT NULL DEFAULT 0, -- bytes with something in them
  copied      INTEGER NOT NULL DEFAULT 0, -- bytes sent so far
  rest        INTEGER NOT NULL DEFAULT 0, -- bytes that differed at the last look
  digest      TEXT    NOT NULL DEFAULT '',
  message     TEXT    NOT NULL DEFAULT '',
  begun_at    INTEGER NOT NULL,
  changed_at  INTEGER NOT NULL,
  PRIMARY KEY (namespace, claim)
) STRICT;
