#!/bin/sh
# Starts PostgreSQL in the foreground; makes the database cluster first if the volume holds none.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # A first start that was interrupted leaves a directory that initdb would refuse.
  rm -rf "$PGDATA.new"
  initdb -D "$PGDATA.new" -U shop --auth=trust --encoding=UTF8 --no-sync
  # Whoever reaches the topology's own network is one of the topology's own services.
  echo "host all all samenet trust" >>"$PGDATA.new/pg_hba.conf"
  echo "CREATE DATABASE shop" | postgres --single -D "$PGDATA.new" -E postgres >/dev/null
  sync
  mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c shared_buffers=32MB
