/* SPDX-License-Identifier: Apache-2.0
 *
 * Values against a driver's declaration: the settings of a source or destination, the options of a
 * migration. Each is checked and brought to its declared type ("7" becomes 7 where a whole number is
 * declared, a text becomes a list of one), and secrets are told apart. Unknown names and wrong values
 * are complained of, all of them. The worker checks again.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_API_OPTION_H
#define GUTS_API_OPTION_H

#include <jansson.h>

#include "common/base/memory.h"
#include "common/json/reader.h"

#define OPTION_TEXT_MOST 4096
#define OPTION_LINES_MOST (32u << 10)
#define OPTION_SECRET_MOST 65536
#define OPTION_ITEMS_MOST 256

struct option_values {
    json_t *plain;   /* object: what may be stored and shown; null marks one to be removed */
    json_t *secrets; /* object of texts; null again */
};
void option_values_fini(struct option_values *values); /* wipes the secrets */

/* `declared`: an array of settings as drivers declare them. `given`: an object, or NULL for none.
 * `reader` gathers the complaints under `field` ("settings"). */
void option_check(struct reader *reader, const char *field, const json_t *declared,
                  const json_t *given, struct option_values *ret_values);
/* Complains of required values that are missing: plain ones of `plain`, secret ones of `secrets`
 * (NULL: not looked at). */
void option_require(struct reader *reader, const char *field, const json_t *declared,
                    const json_t *plain, const json_t *secrets);
/* Complains of a value of the right type that keeps not to what is declared beyond that: choices,
 * shape, bounds. option_check does it for each. */
void option_check_form(struct reader *reader, const char *field, const json_t *declared,
                       const json_t *value);

/* What must be found in the destination's catalogue, by id or by name; in the reader's arena. */
struct option_name {
    const char *pointer; /* for a complaint: "options/network_map/0" */
    const char *kind;    /* of the catalogue */
    const char *name;
};
struct option_names {
    struct option_name *items;
    size_t count;
};
void option_catalog_names(struct reader *reader, const char *field, const json_t *declared,
                          const json_t *plain, struct option_names *ret_names);
/* Names of the declared settings that are part of the address; in the arena. */
size_t option_address_names(struct arena *arena, const json_t *declared,
                            const char *const **ret_names);

#endif
