-- How hks is let in to the plain git repository of a pipeline; secret is
-- sealed JSON.
CREATE TABLE pipeline_remote (
  pipeline TEXT PRIMARY KEY,
  secret   BLOB NOT NULL
) STRICT;
