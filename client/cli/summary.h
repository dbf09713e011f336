/* SPDX-License-Identifier: Apache-2.0
 *
 * A migration on one screen: what an operator asks first. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_SUMMARY_H
#define GUTS_CLIENT_CLI_SUMMARY_H

#include <jansson.h>

/* A new object for output_show: names and texts for people, made from the answer of a show; what is
 * empty is left out. All fields are in every format but the table. */
json_t *summary_of_migration(const json_t *migration);

#endif
