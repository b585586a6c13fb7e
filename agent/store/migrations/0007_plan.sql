-- The plan whose limits the cluster was seen to hold: while it differs from
-- plan, the change is still on its way.
ALTER TABLE workspace ADD COLUMN applied TEXT NOT NULL DEFAULT '';
UPDATE workspace SET applied = plan;
