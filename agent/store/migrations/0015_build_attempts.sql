-- How often a build was begun: one that takes the agent down with it each time
-- is not begun for ever.
ALTER TABLE build ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
