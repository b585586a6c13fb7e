-- What the summary reads; hks connect db < schema.sql makes it.
CREATE TABLE IF NOT EXISTS orders (
  id        bigserial   PRIMARY KEY,
  product   text        NOT NULL,
  cents     integer     NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now()
);
