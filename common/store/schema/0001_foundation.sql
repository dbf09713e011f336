-- SPDX-License-Identifier: Apache-2.0
-- The tables that the main job stands on. MariaDB 10.11 and MySQL 8.
-- Ids are UUIDs of version 7, 16 bytes. Every *_at is in microseconds since 1970, UTC. Words are those
-- of proto/words.h and proto/lifecycle.h. Texts of *_json columns were written by guts itself.
-- Lists page by (sort key, id), never by OFFSET. Each statement can be run again.

CREATE TABLE IF NOT EXISTS leader (
  one            TINYINT UNSIGNED NOT NULL PRIMARY KEY, -- always 1
  term           BIGINT UNSIGNED NOT NULL,
  holder         VARCHAR(128) NOT NULL,                 -- instance of the scheduler, '' for none
  connection_id  BIGINT UNSIGNED NOT NULL,
  batch          BIGINT UNSIGNED NOT NULL,              -- counts the write transactions
  event_number   BIGINT UNSIGNED NOT NULL,              -- the last one given
  renewed_at     BIGINT UNSIGNED NOT NULL               -- by the database's clock
) ENGINE=InnoDB;
INSERT IGNORE INTO leader VALUES (1, 0, '', 0, 0, 0, 0);

CREATE TABLE IF NOT EXISTS services (
  name           VARCHAR(128) NOT NULL PRIMARY KEY,     -- 'guts-api@host:port'
  kind           VARCHAR(16) CHARACTER SET ascii NOT NULL, -- api, scheduler
  host           VARCHAR(255) NOT NULL,
  instance       VARCHAR(64) CHARACTER SET ascii NOT NULL,
  version        VARCHAR(64) NOT NULL,
  role           VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT '', -- 'leader', 'standby'
  started_at     BIGINT UNSIGNED NOT NULL,
  seen_at        BIGINT UNSIGNED NOT NULL               -- by the database's clock
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS tokens (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  name           VARCHAR(255) NOT NULL,
  hash           BINARY(32) NOT NULL,                   -- BLAKE2b-256 of the token
  role           VARCHAR(16) CHARACTER SET ascii NOT NULL, -- reader, member, admin
  project        VARCHAR(64) NOT NULL,
  created_at     BIGINT UNSIGNED NOT NULL,
  expires_at     BIGINT UNSIGNED NULL,
  revoked_at     BIGINT UNSIGNED NULL,
  valid_name     VARCHAR(255) NULL,                     -- the name until it is revoked, or found to have expired
  UNIQUE KEY by_hash (hash),
  UNIQUE KEY by_valid_name (valid_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS drivers (
  end            VARCHAR(16) CHARACTER SET ascii NOT NULL, -- source, destination
  name           VARCHAR(64) CHARACTER SET ascii NOT NULL,
  declaration_json MEDIUMTEXT NOT NULL,                 -- title, features, settings, options
  updated_at     BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (end, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Definitions: written by the API; the columns from `refreshed_at` on by the scheduler.
CREATE TABLE IF NOT EXISTS sources (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  project        VARCHAR(64) NOT NULL,
  name           VARCHAR(255) NOT NULL,
  driver         VARCHAR(64) CHARACTER SET ascii NOT NULL,
  description    VARCHAR(1024) NOT NULL DEFAULT '',
  settings_json  MEDIUMTEXT NOT NULL,                   -- without secrets
  address        VARCHAR(2048) NOT NULL,                -- what the seal was made for
  seal           BLOB NULL,
  seal_key_id    VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT '',
  labels_json    TEXT NULL,                             -- labels that a node must have to reach it
  created_at     BIGINT UNSIGNED NOT NULL,
  updated_at     BIGINT UNSIGNED NOT NULL,
  refreshed_at   BIGINT UNSIGNED NULL,                  -- end of the last whole discovery
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'new', -- new, refreshing, ready, error
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  vm_count       INT UNSIGNED NOT NULL DEFAULT 0,
  attempt        INT UNSIGNED NOT NULL DEFAULT 0,
  UNIQUE KEY by_name (project, name),
  KEY by_project (project, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS destinations (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  project        VARCHAR(64) NOT NULL,
  name           VARCHAR(255) NOT NULL,
  driver         VARCHAR(64) CHARACTER SET ascii NOT NULL,
  description    VARCHAR(1024) NOT NULL DEFAULT '',
  settings_json  MEDIUMTEXT NOT NULL,
  address        VARCHAR(2048) NOT NULL,
  seal           BLOB NULL,
  seal_key_id    VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT '',
  labels_json    TEXT NULL,
  created_at     BIGINT UNSIGNED NOT NULL,
  updated_at     BIGINT UNSIGNED NOT NULL,
  refreshed_at   BIGINT UNSIGNED NULL,
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'new',
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  attempt        INT UNSIGNED NOT NULL DEFAULT 0,
  UNIQUE KEY by_name (project, name),
  KEY by_project (project, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What destinations offer.
CREATE TABLE IF NOT EXISTS catalogues (
  destination_id BINARY(16) NOT NULL,
  kind           VARCHAR(32) CHARACTER SET ascii NOT NULL, -- flavor, network, …: the driver's words
  item           VARCHAR(191) NOT NULL,                 -- the destination's id for it
  name           VARCHAR(255) NOT NULL,
  detail_json    MEDIUMTEXT NOT NULL,
  refresh        BIGINT UNSIGNED NOT NULL,              -- the refresh that saw it last
  PRIMARY KEY (destination_id, kind, item)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Things at a source or a destination that carry a migration's mark and that nobody holds, and
-- directories of jobs in a node's conversion spaces that none does.
CREATE TABLE IF NOT EXISTS strays (
  endpoint_id    BINARY(16) NOT NULL,                   -- a source, a destination or a node
  kind           VARCHAR(32) CHARACTER SET ascii NOT NULL, -- disk, server, …: the driver's words
  item           VARCHAR(191) NOT NULL,                 -- names it at its end
  migration_id   BINARY(16) NOT NULL,                   -- whose mark it carries
  detail_json    MEDIUMTEXT NOT NULL,
  look           BIGINT UNSIGNED NOT NULL,              -- the look that saw it last
  PRIMARY KEY (endpoint_id, kind, item)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS vms (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  project        VARCHAR(64) NOT NULL,
  source_id      BINARY(16) NOT NULL,
  vm_key         VARBINARY(512) NOT NULL,
  key_hash       BINARY(16) NOT NULL,                   -- of vm_key, for the unique index
  name           VARCHAR(255) NOT NULL,
  uuid           VARCHAR(64) NULL,
  power          VARCHAR(16) CHARACTER SET ascii NOT NULL,
  firmware       VARCHAR(16) CHARACTER SET ascii NOT NULL,
  secure_boot    TINYINT UNSIGNED NOT NULL DEFAULT 0,
  cpus           INT UNSIGNED NOT NULL,
  cores_per_socket INT UNSIGNED NOT NULL DEFAULT 0,
  memory_mib     BIGINT UNSIGNED NOT NULL,
  guest_os       VARCHAR(255) NOT NULL DEFAULT '',
  host           VARCHAR(255) NOT NULL DEFAULT '',
  annotation     TEXT NULL,
  obstacle_code  VARCHAR(48) CHARACTER SET ascii NULL,
  obstacle_text  VARCHAR(1024) NULL,
  capacity_bytes BIGINT UNSIGNED NOT NULL,              -- of all disks
  disk_count     INT UNSIGNED NOT NULL,
  refresh        BIGINT UNSIGNED NOT NULL,              -- the discovery that saw it last
  gone_at        BIGINT UNSIGNED NULL,                  -- the last whole discovery did not see it
  created_at     BIGINT UNSIGNED NOT NULL,
  updated_at     BIGINT UNSIGNED NOT NULL,
  UNIQUE KEY by_key (source_id, key_hash),
  KEY by_project (project, id),
  KEY by_source (source_id, id),
  KEY by_name (project, name, id),
  KEY by_name_site (name, id, project, source_id, gone_at) -- names are checked from it alone
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS vm_disks (
  vm_id          BINARY(16) NOT NULL,
  number         SMALLINT UNSIGNED NOT NULL,            -- from 0, in boot order
  disk_key       VARBINARY(512) NOT NULL,
  bus            VARCHAR(16) CHARACTER SET ascii NOT NULL,
  controller     VARCHAR(32) CHARACTER SET ascii NOT NULL DEFAULT '',
  controller_index INT UNSIGNED NOT NULL DEFAULT 0,
  unit           INT UNSIGNED NOT NULL DEFAULT 0,
  capacity_bytes BIGINT UNSIGNED NOT NULL,
  stored_bytes   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  format         VARCHAR(32) CHARACTER SET ascii NOT NULL DEFAULT '',
  PRIMARY KEY (vm_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS vm_nics (
  vm_id          BINARY(16) NOT NULL,
  number         SMALLINT UNSIGNED NOT NULL,
  mac            VARCHAR(32) CHARACTER SET ascii NULL,
  model          VARCHAR(32) NOT NULL DEFAULT '',
  network        VARCHAR(255) NOT NULL DEFAULT '',
  connected      TINYINT UNSIGNED NOT NULL DEFAULT 1,
  PRIMARY KEY (vm_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS nodes (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  name           VARCHAR(64) CHARACTER SET ascii NOT NULL,
  host           VARCHAR(255) NOT NULL DEFAULT '',
  instance       VARCHAR(64) CHARACTER SET ascii NOT NULL,
  version        VARCHAR(64) NOT NULL DEFAULT '',
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'enabled', -- enabled, draining, disabled
  reason         VARCHAR(1024) NOT NULL DEFAULT '',     -- why it is not enabled
  up             TINYINT UNSIGNED NOT NULL DEFAULT 1,   -- reported within the takeover time
  labels_json    TEXT NULL,
  source_drivers_json TEXT NULL,
  destination_drivers_json TEXT NULL,
  resources_json TEXT NULL,                             -- {"slot": 4, "memory": …}
  report_number  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  first_seen_at  BIGINT UNSIGNED NOT NULL,
  seen_at        BIGINT UNSIGNED NOT NULL,              -- of the last committed report
  UNIQUE KEY by_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS pools (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  capacity_bytes BIGINT UNSIGNED NOT NULL,
  used_bytes     BIGINT UNSIGNED NOT NULL,
  free_bytes     BIGINT UNSIGNED NOT NULL,
  available_bytes BIGINT NOT NULL,                      -- after reservations (design: Placement)
  reported_at    BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS node_pools (
  node_id        BINARY(16) NOT NULL,
  pool_id        BINARY(16) NOT NULL,
  path           VARCHAR(1024) NOT NULL,
  PRIMARY KEY (node_id, pool_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Definitions by the API up to `created_at`; facts by the scheduler from `state` on. The API inserts a
-- row as PENDING, version 0, with due_at set; the scheduler numbers its first event when it sees it.
-- What every placement sets is never NULL (zeroes: not yet): a row that does not grow is written in its
-- place, which costs the database a third less than making room in a full page.
CREATE TABLE IF NOT EXISTS migrations (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  project        VARCHAR(64) NOT NULL,
  vm_id          BINARY(16) NOT NULL,
  source_id      BINARY(16) NOT NULL,
  destination_id BINARY(16) NOT NULL,
  vm_name        VARCHAR(255) NOT NULL,
  server_name    VARCHAR(255) NOT NULL,
  options_json   MEDIUMTEXT NOT NULL,
  on_failure     VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'rollback', -- rollback, keep
  dry_run        TINYINT UNSIGNED NOT NULL DEFAULT 0,
  who            VARCHAR(255) NOT NULL DEFAULT '',
  created_at     BIGINT UNSIGNED NOT NULL,
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'PENDING',
  version        INT UNSIGNED NOT NULL DEFAULT 0,       -- compare-and-swap with state
  open_vm        BINARY(16) NULL,                       -- vm_id while open, else NULL
  attempt        INT UNSIGNED NOT NULL DEFAULT 0,       -- over all its jobs
  job_id         BINARY(16) NOT NULL DEFAULT '',        -- the live job
  node_id        BINARY(16) NOT NULL DEFAULT '',        -- of the live or last job
  needs_hash     BINARY(16) NOT NULL DEFAULT '',        -- its group while PENDING
  way            VARCHAR(16) CHARACTER SET ascii NULL,  -- CONVERTING or UPLOADING
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  faults_json    MEDIUMTEXT NULL,                       -- all of a preflight
  retries        INT UNSIGNED NOT NULL DEFAULT 0,
  resumes        INT UNSIGNED NOT NULL DEFAULT 0,
  total_bytes    BIGINT UNSIGNED NOT NULL DEFAULT 0,
  done_bytes     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  read_bytes     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  written_bytes  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  evidence_json  MEDIUMTEXT NULL,
  server_json    MEDIUMTEXT NULL,
  updated_at     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  started_at     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  finished_at    BIGINT UNSIGNED NULL,
  due_at         BIGINT UNSIGNED NULL,                  -- when the scheduler must look; NULL: never
  UNIQUE KEY one_open (open_vm),
  KEY by_project (project, id),
  KEY by_state (project, state, id),
  KEY by_state_site (state, id),                        -- the same for admins, over all projects
  KEY by_vm_name (vm_name, id),
  KEY by_vm (vm_id, id),
  KEY by_source (source_id, id),
  KEY by_destination (destination_id, id),
  KEY by_due (due_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS migration_disks (
  migration_id   BINARY(16) NOT NULL,
  number         SMALLINT UNSIGNED NOT NULL,
  capacity_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  total_bytes    BIGINT UNSIGNED NOT NULL DEFAULT 0,
  done_bytes     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  read_bytes     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  written_bytes  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  digest         VARCHAR(192) CHARACTER SET ascii NOT NULL DEFAULT '',
  PRIMARY KEY (migration_id, number)
) ENGINE=InnoDB;

-- Why groups of pending jobs with equal needs wait.
CREATE TABLE IF NOT EXISTS needs (
  hash           BINARY(16) NOT NULL PRIMARY KEY,
  needs_json     TEXT NOT NULL,
  reasons_json   MEDIUMTEXT NULL,                       -- {"counts": {"no_space": 3}, "nodes": [{name, reason}] up to 10}
  all_json       MEDIUMTEXT NULL,                       -- every node
  tried_at       BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS jobs (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  kind           VARCHAR(16) CHARACTER SET ascii NOT NULL,
  owner_kind     VARCHAR(16) CHARACTER SET ascii NOT NULL,
  owner_id       BINARY(16) NOT NULL,
  project        VARCHAR(64) NOT NULL,
  wish_id        BINARY(16) NULL,                       -- the wish that asked for it
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL, -- waiting, assigned, accepted, finished, closed
  live           TINYINT UNSIGNED NULL,                 -- 1 until its result is stored, then NULL
  open           TINYINT UNSIGNED NULL,                 -- 1 until it is closed, then NULL
  wanted         VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'go',
  attempt        INT UNSIGNED NOT NULL DEFAULT 0,
  run            INT UNSIGNED NOT NULL DEFAULT 0,
  needs_hash     BINARY(16) NULL,
  request_json   TEXT NULL,
  node_id        BINARY(16) NULL,
  node_instance  VARCHAR(64) CHARACTER SET ascii NULL,
  pool_id        BINARY(16) NULL,
  reserved_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  allocated_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  created_at     BIGINT UNSIGNED NOT NULL,
  assigned_at    BIGINT UNSIGNED NULL,
  accepted_at    BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- 0: not yet; set by every placement, as above
  finished_at    BIGINT UNSIGNED NULL,
  outcome        VARCHAR(16) CHARACTER SET ascii NULL,  -- done, failed, cancelled
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  due_at         BIGINT UNSIGNED NULL,
  note_number    BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of the attempt's last note that became an event
  UNIQUE KEY one_live (owner_kind, owner_id, live),     -- finds an owner's jobs too
  KEY by_node (node_id, live, id),
  KEY by_open (open, id),                               -- states change often: none stands in an index
  KEY by_due (due_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Space that attempts lost with their nodes still hold in pools that other nodes may share: each stays
-- reserved until its directory is seen to be gone, or the node is deleted.
CREATE TABLE IF NOT EXISTS remains (
  job_id         BINARY(16) NOT NULL,
  attempt        INT UNSIGNED NOT NULL,
  node_id        BINARY(16) NOT NULL,
  pool_id        BINARY(16) NOT NULL,
  reserved_bytes BIGINT UNSIGNED NOT NULL,
  allocated_bytes BIGINT UNSIGNED NOT NULL,
  left_at        BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (job_id, attempt),
  KEY by_node (node_id)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS steps (
  job_id         BINARY(16) NOT NULL,
  attempt        INT UNSIGNED NOT NULL,
  number         SMALLINT UNSIGNED NOT NULL,
  owner_id       BINARY(16) NOT NULL,
  name           VARCHAR(64) CHARACTER SET ascii NOT NULL,
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL, -- running, done, failed, undone, skipped, interrupted
  started_at     BIGINT UNSIGNED NULL,
  finished_at    BIGINT UNSIGNED NULL,
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  PRIMARY KEY (owner_id, job_id, attempt, number)       -- an owner's steps lie together
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which pages of a discover or catalog job have come; nothing vanishes until all have. Rows go with
-- the end of the job.
CREATE TABLE IF NOT EXISTS pages (
  job_id         BINARY(16) NOT NULL,
  attempt        INT UNSIGNED NOT NULL,
  number         INT UNSIGNED NOT NULL,
  last           TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (job_id, attempt, number)
) ENGINE=InnoDB;

-- Written by the API; outcome and what follows by the scheduler.
CREATE TABLE IF NOT EXISTS wishes (
  id             BINARY(16) NOT NULL PRIMARY KEY,
  verb           VARCHAR(16) CHARACTER SET ascii NOT NULL, -- cancel, retry, rollback, cleanup, delete, refresh, test, gc, enable, drain, disable
  owner_kind     VARCHAR(16) CHARACTER SET ascii NOT NULL,
  owner_id       BINARY(16) NOT NULL,
  project        VARCHAR(64) NOT NULL,
  arguments_json TEXT NULL,
  who            VARCHAR(255) NOT NULL,
  created_at     BIGINT UNSIGNED NOT NULL,
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'open', -- open, taken, done, refused, failed
  fault_code     VARCHAR(48) CHARACTER SET ascii NULL,
  fault_text     VARCHAR(1024) NULL,
  answer_json    MEDIUMTEXT NULL,
  finished_at    BIGINT UNSIGNED NULL,
  due_at         BIGINT UNSIGNED NULL,                  -- set while the scheduler has yet to take it
  KEY by_due (due_at, id),
  KEY by_owner (owner_kind, owner_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS ledger (
  owner_id       BINARY(16) NOT NULL,
  end            VARCHAR(16) CHARACTER SET ascii NOT NULL,
  kind           VARCHAR(32) CHARACTER SET ascii NOT NULL,
  entry_key      VARCHAR(191) NOT NULL,
  owner_kind     VARCHAR(16) CHARACTER SET ascii NOT NULL,
  position       INT UNSIGNED NOT NULL,                 -- order of the first writing, from 1
  state          VARCHAR(16) CHARACTER SET ascii NOT NULL,
  external_id    VARCHAR(512) NOT NULL DEFAULT '',
  prior_json     TEXT NULL,                             -- by the first writer only
  detail         VARCHAR(1024) NOT NULL DEFAULT '',
  job_id         BINARY(16) NOT NULL,                   -- token of the last writer
  attempt        INT UNSIGNED NOT NULL,
  run            INT UNSIGNED NOT NULL,
  created_at     BIGINT UNSIGNED NOT NULL,
  updated_at     BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (owner_id, end, kind, entry_key),
  UNIQUE KEY by_position (owner_id, position)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS events (
  number         BIGINT UNSIGNED NOT NULL PRIMARY KEY,  -- given by the leader alone
  at             BIGINT UNSIGNED NOT NULL,
  project        VARCHAR(64) NOT NULL,                  -- '' : of the whole site, seen by admins
  kind           VARCHAR(48) CHARACTER SET ascii NOT NULL, -- 'migration.state', 'job.note', 'node.down' …
  severity       VARCHAR(8) CHARACTER SET ascii NOT NULL, -- info, warn, error
  owner_kind     VARCHAR(16) CHARACTER SET ascii NOT NULL,
  owner_id       BINARY(16) NULL,
  text           VARCHAR(1024) NOT NULL DEFAULT '',
  data_json      TEXT NULL,                             -- {"from": …, "to": …, "fault": …, "job": …, "attempt": …}
  KEY by_owner (owner_id, number),
  KEY by_project (project, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
