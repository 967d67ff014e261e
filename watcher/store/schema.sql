-- The tables of a new database, as the migrations leave them; a test compares both. Each index says which query it
-- serves. Moments are text of one width in UTC, words and typed values text and JSON (see values.py).

CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE sources (
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  cursor TEXT,
  baseline_at TEXT,
  last_look TEXT,
  last_ok TEXT,
  last_change TEXT,
  failures INTEGER NOT NULL,
  told BOOLEAN NOT NULL,
  error TEXT,
  requests INTEGER NOT NULL,
  not_modified INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  moved_to_host TEXT,
  newest TEXT,
  newest_at TEXT,
  CONSTRAINT pk_sources PRIMARY KEY (name)
);

-- The primary key serves known_facts, which reads one source at each look. A fact appeared at upstream's own stamp,
-- else when it was first seen; what was there at the first look may be of any age.
CREATE TABLE facts (
  source TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT,
  digest TEXT,
  url TEXT NOT NULL,
  published_at TEXT,
  yanked BOOLEAN NOT NULL,
  prerelease BOOLEAN NOT NULL,
  detail TEXT NOT NULL,
  first_seen TEXT NOT NULL,
  missed INTEGER NOT NULL,
  withdrawn BOOLEAN NOT NULL,
  baseline BOOLEAN NOT NULL,
  appeared_at TEXT GENERATED ALWAYS AS (coalesce(published_at, CASE WHEN baseline = 0 THEN first_seen END)) VIRTUAL,
  CONSTRAINT pk_facts PRIMARY KEY (source, key)
);
-- serves telling_facts, and telling_trials without the table
CREATE INDEX ix_facts_digest ON facts (digest, kind, withdrawn);
-- serves wheels_of_version
CREATE INDEX ix_facts_version ON facts (version);
-- serves last_appearances, dated_facts, and days_of and counts, which it spares the table
CREATE INDEX ix_facts_appeared_at ON facts (source, appeared_at, kind, prerelease, withdrawn);
-- serves baseline_published_since
CREATE INDEX ix_facts_published_at ON facts (published_at) WHERE baseline IS 1 AND withdrawn IS 0;

-- The fact is kept as it was at the event: the row in `facts` goes on changing.
CREATE TABLE events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  kind TEXT NOT NULL,
  fact TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  previous_digest TEXT
);
-- serves events_since
CREATE INDEX ix_events_seen_at ON events (seen_at);

CREATE TABLE holds (
  host TEXT NOT NULL,
  until TEXT NOT NULL,
  CONSTRAINT pk_holds PRIMARY KEY (host)
);

CREATE TABLE budgets (
  host TEXT NOT NULL,
  "limit" INTEGER,
  remaining INTEGER NOT NULL,
  resets_at TEXT,
  seen_at TEXT NOT NULL,
  CONSTRAINT pk_budgets PRIMARY KEY (host)
);

-- The primary key serves static_of; the same file listed by two sources is read, and kept, for each.
CREATE TABLE statics (
  digest TEXT NOT NULL,
  component TEXT NOT NULL,
  source TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT,
  reading TEXT NOT NULL,
  at TEXT NOT NULL,
  CONSTRAINT pk_statics PRIMARY KEY (digest, component, source)
);

-- The unique constraint serves upsert_candidates, which finds a candidate again by its content.
CREATE TABLE candidates (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  engine TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  image TEXT NOT NULL,
  digest TEXT,
  source TEXT NOT NULL,
  compatible BOOLEAN NOT NULL,
  reasons TEXT NOT NULL,
  due BOOLEAN NOT NULL,
  waiting_for TEXT,
  version TEXT,
  published_at TEXT,
  first_seen TEXT,
  baseline BOOLEAN NOT NULL,
  skipped BOOLEAN NOT NULL,
  overlay TEXT,
  CONSTRAINT uq_candidates_engine_fingerprint UNIQUE (engine, fingerprint)
);

-- The candidate is kept as it was tried: tags move, and a person must see what ran.
CREATE TABLE trials (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  candidate_id INTEGER NOT NULL,
  candidate TEXT NOT NULL,
  device_state TEXT NOT NULL,
  bug_id TEXT NOT NULL,
  started_at TEXT NOT NULL,
  finished_at TEXT,
  stage TEXT NOT NULL,
  outcome TEXT,
  retry_at TEXT,
  failed_stage TEXT,
  bug TEXT NOT NULL,
  bring_up TEXT NOT NULL,
  failure_class TEXT,
  reason TEXT NOT NULL,
  starts TEXT NOT NULL,
  deciding_start INTEGER,
  evidence TEXT NOT NULL,
  basis TEXT NOT NULL,
  acceptance TEXT,
  displaced TEXT NOT NULL,
  away_seconds FLOAT,
  owed TEXT NOT NULL,
  by_hand BOOLEAN NOT NULL,
  setup TEXT NOT NULL,
  signatures TEXT,
  probe TEXT,
  ended_at TEXT GENERATED ALWAYS AS (coalesce(finished_at, started_at)) VIRTUAL,
  l4t TEXT GENERATED ALWAYS AS (json_extract(device_state, '$.l4t')) VIRTUAL,
  driver TEXT GENERATED ALWAYS AS (json_extract(device_state, '$.driver')) VIRTUAL,
  boot_id TEXT GENERATED ALWAYS AS (json_extract(device_state, '$.boot_id')) VIRTUAL,
  CONSTRAINT fk_trials_candidate_id FOREIGN KEY (candidate_id) REFERENCES candidates (id)
);
-- serves unfinished_trials
CREATE INDEX ix_trials_unfinished ON trials (id) WHERE stage != 'done';
-- both serve telling_trials: the first finds which verdicts speak, the second what happened on their boots before
CREATE INDEX ix_trials_ended_at ON trials (bug_id, outcome, ended_at, candidate_id, l4t, driver, bug, bring_up);
CREATE INDEX ix_trials_boot_id ON trials (boot_id, started_at);
-- serves trial_totals, which it spares the table
CREATE INDEX ix_trials_outcome ON trials (outcome, away_seconds);

-- A change of stage is a row, written before its effect.
CREATE TABLE journal (
  id INTEGER NOT NULL,
  trial_id INTEGER NOT NULL,
  old_stage TEXT,
  new_stage TEXT NOT NULL,
  reason TEXT NOT NULL,
  at TEXT NOT NULL,
  CONSTRAINT pk_journal PRIMARY KEY (id),
  CONSTRAINT fk_journal_trial_id FOREIGN KEY (trial_id) REFERENCES trials (id) ON DELETE CASCADE
);
-- serves journal_of
CREATE INDEX ix_journal_trial_id ON journal (trial_id);

CREATE TABLE meta (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  CONSTRAINT pk_meta PRIMARY KEY (key)
);

-- The unique constraint is what makes a notice be told once, for ever.
CREATE TABLE notices (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  topic TEXT NOT NULL,
  subjects TEXT NOT NULL,
  created_at TEXT NOT NULL,
  CONSTRAINT uq_notices_key UNIQUE (key)
);
-- serves undelivered, which leaves out what is older than the channel
CREATE INDEX ix_notices_created_at ON notices (created_at);

-- Since when a channel is told this kind: what came long before is not poured over it.
CREATE TABLE channels (
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  since TEXT NOT NULL,
  CONSTRAINT pk_channels PRIMARY KEY (channel, kind)
);

-- The primary key serves pending, which asks for one channel's row of a notice.
CREATE TABLE deliveries (
  notice_id INTEGER NOT NULL,
  channel TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_at TEXT,
  delivered_at TEXT,
  CONSTRAINT pk_deliveries PRIMARY KEY (notice_id, channel),
  CONSTRAINT fk_deliveries_notice_id FOREIGN KEY (notice_id) REFERENCES notices (id) ON DELETE CASCADE
);
