/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints a jansson value as a YAML document (libyaml's emitter). Texts that a reader could take for
 * something else are quoted. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_YAML_H
#define GUTS_CLIENT_CLI_YAML_H

#include <jansson.h>

void yaml_print(const json_t *document);

#endif
