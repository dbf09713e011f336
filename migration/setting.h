/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of drivers: how a driver declares what it wants to know of a source or destination (or of
 * a migration, for options), and how it reads what it was given. The API checks values against the
 * declaration before they are stored; the worker checks them again.
 *
 * Threads: declarations are constant; a struct settings belongs to one thread at a time.
 */
#ifndef GUTS_MIGRATION_SETTING_H
#define GUTS_MIGRATION_SETTING_H

#include <jansson.h>

#include "common/base/error.h"
#include "common/base/secret.h"

enum setting_type {
    SETTING_TEXT,
    SETTING_PATH, /* absolute */
    SETTING_URL,
    SETTING_INTEGER,
    SETTING_BOOLEAN,
    SETTING_LIST,  /* of texts */
    SETTING_LINES, /* a text of many lines */
};
struct setting {
    const char *name;
    enum setting_type type;
    bool secret;
    bool required;
    bool address;         /* part of what secrets are sealed for */
    const char *standard; /* the default as text, or NULL */
    const char *help;
    /* What the API can refuse before anything is stored; each NULL or 0 where nothing is to be said. */
    const char *choices; /* of a text: "image|volume" */
    const char *shape; /* of a list's items: "SOURCE=NETWORK", or "GIB[:TYPE]": the rest may lack */
    const char
        *catalog; /* the catalogue's kind in which the value is found by id or by name; of items
                           * with a shape what stands behind its separator, unless that is "-" */
    int64_t least, most; /* of an integer, when most is greater */
};
const char *setting_type_name(enum setting_type type);

/* Values checked against a declaration. */
struct settings;
/* `values` is an object without secrets; `secrets` an opened seal (a JSON object of texts) or NULL.
 * FAULT_INVALID names every field that is wrong or unknown. Copies what it needs. */
bool settings_new(const struct setting *declared, size_t count, const json_t *values,
                  const struct secret *secrets, struct settings **ret_settings,
                  struct error *err) MUST_CHECK;
void settings_free(struct settings *settings);
const char *settings_text(const struct settings *settings, const char *name); /* NULL: not given */
int64_t settings_integer(const struct settings *settings, const char *name);
bool settings_boolean(const struct settings *settings, const char *name);
size_t settings_list_count(const struct settings *settings, const char *name);
const char *settings_list_item(const struct settings *settings, const char *name, size_t index);
const struct secret *settings_secret(const struct settings *settings, const char *name);

#endif
