-- Where a volume's disk is ('' is the appliance's own machine), and the
-- certificate by which a machine that has joined is known when it serves disks.
ALTER TABLE volume ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN disks TEXT NOT NULL DEFAULT '';

-- Where a service's instance runs: dedicated, or the name of a node. Without a
-- row it is the shared pool.
CREATE TABLE service_place (
  service TEXT PRIMARY KEY,
  place   TEXT NOT NULL
) STRICT;

CREATE TRIGGER service_place_gone AFTER DELETE ON service BEGIN
  DELETE FROM service_place WHERE service = OLD.name;
END;
