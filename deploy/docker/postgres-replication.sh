#!/bin/bash
# Lets standbys copy and follow this server. From its next start on, what is committed is on one more disk than its own: only then
# is a record acknowledged to its gateway.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v password="$REPLICATION_PASSWORD" <<'SQL'
create role replication login replication password :'password';
alter system set wal_keep_size = '1GB';
alter system set synchronous_standby_names = 'ANY 1 (standby_1, standby_2)';
SQL
echo 'host replication replication all scram-sha-256' >>"$PGDATA/pg_hba.conf"
