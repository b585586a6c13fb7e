-- Where a volume's disk is ('' is the appliance's own machine), and the
-- certificate by which a machine that has joined is known when it serves disks.
ALTER TABLE volume ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN disks TEXT NOT NULL DEFAULT '';
