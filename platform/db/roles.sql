-- The roles and the rights around the tables; written by `manage.py docs`. A superuser runs it once in the database
-- `countersign`, before the first `migrate`, and may run it again at any time. Passwords are given apart from it.

DO $$ BEGIN CREATE ROLE countersign_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT;
EXCEPTION WHEN duplicate_object THEN ALTER ROLE countersign_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT; END $$;

DO $$ BEGIN CREATE ROLE countersign_journal NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object THEN ALTER ROLE countersign_journal NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; END $$;

DO $$ BEGIN CREATE ROLE countersign_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT;
EXCEPTION WHEN duplicate_object THEN ALTER ROLE countersign_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT; END $$;

DO $$ BEGIN CREATE ROLE countersign_dispatch NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object THEN ALTER ROLE countersign_dispatch NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; END $$;

DO $$ BEGIN CREATE ROLE countersign_seal NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object THEN ALTER ROLE countersign_seal NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; END $$;

DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000
THEN EXECUTE 'GRANT countersign_dispatch TO countersign_app WITH INHERIT FALSE, SET TRUE'; ELSE GRANT countersign_dispatch TO countersign_app; END IF; END $$;

DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000
THEN EXECUTE 'GRANT countersign_seal TO countersign_app WITH INHERIT FALSE, SET TRUE'; ELSE GRANT countersign_seal TO countersign_app; END IF; END $$;

DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000
THEN EXECUTE 'GRANT countersign_journal TO countersign_owner WITH INHERIT FALSE, SET TRUE'; ELSE GRANT countersign_journal TO countersign_owner; END IF; END $$;

ALTER SCHEMA public OWNER TO countersign_journal;

ALTER DATABASE "countersign" OWNER TO countersign_owner;

REVOKE ALL ON DATABASE "countersign" FROM PUBLIC;

GRANT CONNECT ON DATABASE "countersign" TO countersign_app;

REVOKE ALL ON SCHEMA public FROM PUBLIC;

GRANT USAGE, CREATE ON SCHEMA public TO countersign_owner, countersign_journal;

GRANT USAGE ON SCHEMA public TO countersign_app, countersign_dispatch, countersign_seal;
