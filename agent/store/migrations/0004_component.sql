-- An app has components: a release keeps what each one's image was resolved
-- to, and an app how many instances of each it is to have. scale and images
-- are JSON objects by component. An app of before has one, named app.
ALTER TABLE app ADD COLUMN scale TEXT NOT NULL DEFAULT '{}';
UPDATE app SET scale = json_object('app', replicas);
ALTER TABLE app DROP COLUMN replicas;

ALTER TABLE release ADD COLUMN images TEXT NOT NULL DEFAULT '{}';
UPDATE release SET images = json_object('app', json_object('pull', pull, 'digest', digest)) WHERE pull <> '';
UPDATE release SET spec = json_object(
  'components', json_array(json_patch(json_remove(spec, '$.env'), '{"name":"app"}')),
  'env', json(coalesce(json_extract(spec, '$.env'), 'null')));
ALTER TABLE release DROP COLUMN digest;
ALTER TABLE release DROP COLUMN pull;
