-- applied.db, schema 3: what people asked for. Times are Unix milliseconds, addresses IPv4 as numbers and IPv6 as text,
-- digests 64 hexadecimal digits, resource addresses "service.web".

CREATE TABLE project (
  name TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,           -- the newest
  single_container INTEGER NOT NULL,
  origin INTEGER NOT NULL              -- 0: files, 1: a command, 2: a command, until its container has ended, 3: unknown
) STRICT, WITHOUT ROWID;

-- The history. Outlives its project, so that numbers are never given twice.
CREATE TABLE revision (
  project TEXT NOT NULL,
  number INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('applying', 'applied', 'failed')),
  summary TEXT NOT NULL,
  spec_json TEXT NOT NULL,
  plan_digest TEXT NOT NULL,
  PRIMARY KEY (project, number)
) STRICT;

-- A resource as it was last applied in full.
CREATE TABLE resource (
  project TEXT NOT NULL,
  address TEXT NOT NULL,
  spec_json TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (project, address)
) STRICT, WITHOUT ROWID;

-- Leases: what is taken on this machine, before the kernel knows of it.
CREATE TABLE address_lease (
  project TEXT NOT NULL,
  service TEXT NOT NULL,               -- "service.web"
  network TEXT NOT NULL,               -- "internal"
  address INTEGER NOT NULL,
  PRIMARY KEY (project, service, network)
) STRICT, WITHOUT ROWID;

CREATE TABLE subnet_lease (
  project TEXT NOT NULL,
  network TEXT NOT NULL,               -- "network.internal"
  base INTEGER NOT NULL,
  prefix INTEGER NOT NULL,
  subnet6 TEXT,                        -- "fd00:42::/64"
  PRIMARY KEY (project, network)
) STRICT, WITHOUT ROWID;

CREATE TABLE port_lease (
  project TEXT NOT NULL,
  service TEXT NOT NULL,               -- "web"
  host_ip INTEGER,                     -- neither this nor host_ip6: every address of the host
  host_ip6 TEXT,
  host_port INTEGER NOT NULL,
  container_port INTEGER NOT NULL,
  protocol TEXT NOT NULL CHECK (protocol IN ('tcp', 'udp'))
) STRICT;
CREATE INDEX port_lease_project ON port_lease (project);

-- Jobs that exited 0, and the process digest they did it with.
CREATE TABLE completed_job (
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (project, service)
) STRICT, WITHOUT ROWID;
