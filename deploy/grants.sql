-- SPDX-License-Identifier: Apache-2.0
-- What the daemons may do with the tables. Run by an administrator of the database after each
-- `guts-manage db-sync`; running it again changes nothing. MariaDB 10.11 and MySQL 8.
-- The users are made by users.sql. guts-migration has none: nodes open no database.

-- guts-api reads everything. It writes definitions and wishes, and its own row among the services;
-- facts are the scheduler's alone, so columns are named where a row holds both.
GRANT SELECT ON guts.* TO 'guts-api'@'%';
GRANT INSERT, DELETE ON guts.sources TO 'guts-api'@'%';
GRANT UPDATE (name, description, settings_json, address, seal, seal_key_id, labels_json, updated_at)
  ON guts.sources TO 'guts-api'@'%';
GRANT INSERT, DELETE ON guts.destinations TO 'guts-api'@'%';
GRANT UPDATE (name, description, settings_json, address, seal, seal_key_id, labels_json, updated_at)
  ON guts.destinations TO 'guts-api'@'%';
GRANT INSERT ON guts.migrations TO 'guts-api'@'%';
GRANT INSERT ON guts.wishes TO 'guts-api'@'%';
GRANT INSERT, UPDATE, DELETE ON guts.services TO 'guts-api'@'%';
-- A source or destination goes with what was seen there.
GRANT DELETE ON guts.catalogues TO 'guts-api'@'%';
GRANT DELETE ON guts.strays TO 'guts-api'@'%';
GRANT DELETE ON guts.vms TO 'guts-api'@'%';
GRANT DELETE ON guts.vm_disks TO 'guts-api'@'%';
GRANT DELETE ON guts.vm_nics TO 'guts-api'@'%';

-- guts-scheduler writes facts. It never reads the tokens of the API. It ends the connection of the
-- leader before it, which needs no right, as all schedulers log in as the same user.
GRANT SELECT ON guts.schema_versions TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.leader TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.services TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.drivers TO 'guts-scheduler'@'%';
GRANT SELECT, UPDATE, DELETE ON guts.sources TO 'guts-scheduler'@'%';
GRANT SELECT, UPDATE, DELETE ON guts.destinations TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.catalogues TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.strays TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.vms TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.vm_disks TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.vm_nics TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.nodes TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.pools TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.node_pools TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.migrations TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.migration_disks TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.needs TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.jobs TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.remains TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.steps TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.pages TO 'guts-scheduler'@'%';
GRANT SELECT, UPDATE, DELETE ON guts.wishes TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON guts.ledger TO 'guts-scheduler'@'%';
GRANT SELECT, INSERT, DELETE ON guts.events TO 'guts-scheduler'@'%';
