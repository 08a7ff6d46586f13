-- observed.db, schema 1: what we made since the machine booted, and the journal. May be deleted at any time.

-- Steps that were begun. A row goes when its step has ended; what is left after a crash is what must be looked at.
CREATE TABLE journal (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  part TEXT NOT NULL,                  -- "service.web/netns"
  verb TEXT NOT NULL,
  step TEXT NOT NULL,
  time_ms INTEGER NOT NULL
) STRICT;

-- Facts and notes: a netstring per name and per value, in turn ("5:owner,4:shop,").
CREATE TABLE observation (
  project TEXT NOT NULL,
  part TEXT NOT NULL,
  presence TEXT NOT NULL CHECK (presence IN ('present', 'unreadable')),
  facts TEXT NOT NULL,
  notes TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (project, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The boot that all of the above is about.
CREATE TABLE boot (
  id TEXT NOT NULL
) STRICT;
