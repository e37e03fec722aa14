CREATE SCHEMA IF NOT EXISTS {schema};

-- What is kept. id is a digest of tenant, kind and name, which together are too long for an index. info holds no
-- secret, and sealed is encrypted.
CREATE TABLE {schema}.record (
	id      bytea PRIMARY KEY,
	tenant  text NOT NULL,
	kind    text NOT NULL,
	name    text NOT NULL,
	version text NOT NULL,
	due     timestamptz,
	expires timestamptz,
	info    bytea NOT NULL,
	sealed  bytea NOT NULL,
	claimed timestamptz -- until when one program does what is due
);

CREATE INDEX record_listed ON {schema}.record (kind, tenant, id);

CREATE INDEX record_due ON {schema}.record (kind, due) WHERE due IS NOT NULL;

-- Rows to lock, apart from the records, so that a lock never blocks one.
CREATE TABLE {schema}.lock (id bytea PRIMARY KEY);

-- What was written or deleted, each key once, with the transaction that did it last. Programs follow it.
CREATE TABLE {schema}.change (
	id     bytea PRIMARY KEY,
	tenant text NOT NULL,
	kind   text NOT NULL,
	name   text NOT NULL,
	at     xid8 NOT NULL
);

CREATE INDEX change_at ON {schema}.change (at);

CREATE FUNCTION {schema}.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r {schema}.record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
	INSERT INTO {schema}.change VALUES (r.id, r.tenant, r.kind, r.name, pg_current_xact_id())
		ON CONFLICT (id) DO UPDATE SET at = excluded.at;
	PERFORM pg_notify('{schema}', '');
	RETURN NULL;
END $$;

CREATE TRIGGER note_change AFTER INSERT OR UPDATE OF version OR DELETE ON {schema}.record
	FOR EACH ROW EXECUTE FUNCTION {schema}.note_change();

CREATE TABLE {schema}.version (version integer NOT NULL);

INSERT INTO {schema}.version VALUES (1);
