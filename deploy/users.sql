-- SPDX-License-Identifier: Apache-2.0
-- The database and who may log in. Run once by an administrator of the database, before
-- `guts-manage db-sync`; running it again changes nothing. MariaDB 10.11 and MySQL 8.
--
-- Change every password below first, and '%' to the hosts that the daemons run on. What the users
-- may do stands in grants.sql, which comes after db-sync, as it names the tables.

CREATE DATABASE IF NOT EXISTS guts CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE USER IF NOT EXISTS 'guts-api'@'%' IDENTIFIED BY 'change-me-api';
CREATE USER IF NOT EXISTS 'guts-scheduler'@'%' IDENTIFIED BY 'change-me-scheduler';
CREATE USER IF NOT EXISTS 'guts-manage'@'%' IDENTIFIED BY 'change-me-manage';

-- guts-manage makes and changes the tables, and the tokens of the API.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON guts.* TO 'guts-manage'@'%';
