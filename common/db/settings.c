/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of the section "database".
 */
#include "common/db/db.h"

#define KEY(member) offsetof(struct db_settings, member)

const struct conf_key db_conf_keys[] = {
    {"addresses", CONF_STRINGS, KEY(addresses), false, "[\"127.0.0.1:3306\"]", 0, 0,
     "\"host\", \"host:port\" or \"/path/of/socket\", tried in turn"},
    {"database", CONF_STRING, KEY(database), false, "guts", 1, 64, "name of the database"},
    {"user", CONF_STRING, KEY(user), false, "guts", 1, 80, "who logs in"},
    {"password_file", CONF_SECRET_FILE, KEY(password), false, NULL, 0, 0,
     "file (mode 0600 or 0640) that holds the password alone; none: without password"},
    {"tls_ca", CONF_STRING, KEY(tls_ca), false, "", 0, 4096,
     "authority that signed the server's certificate; empty: no TLS"},
    {"tls_certificate", CONF_STRING, KEY(tls_certificate), false, "", 0, 4096,
     "our certificate, where the server asks for one"},
    {"tls_key", CONF_STRING, KEY(tls_key), false, "", 0, 4096, "the key of tls_certificate"},
    {"connect_timeout", CONF_DURATION, KEY(connect_timeout_ms), false, "5s", 1000, 600000,
     "how long to wait for one address, in whole seconds"},
    {"answer_timeout", CONF_DURATION, KEY(answer_timeout_ms), false, "10s", 1000, 600000,
     "a statement whose answer takes longer breaks the connection, in whole seconds"},
    {"wait_timeout", CONF_DURATION, KEY(wait_timeout_ms), false, "60s", 2000, 28800000,
     "the server ends a session, and its locks, after this silence, in whole seconds"},
};
const size_t db_conf_key_count = COUNT_OF(db_conf_keys);
