#!/bin/sh
# Gives the two logins their passwords, in a database server that is being made; run by its image after roles.sql.
set -eu
secrets=${SECRETS:-/run/secrets}
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname="$POSTGRES_DB" \
    --set=app="$(cat "$secrets/app_password")" --set=owner="$(cat "$secrets/owner_password")" <<'SQL'
ALTER ROLE countersign_app PASSWORD :'app';
ALTER ROLE countersign_owner PASSWORD :'owner';
SQL
