/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry of one cloud in clouds.yaml, with what secure.yaml adds and a profile of clouds-public.yaml
 * beneath it, as python-openstackclient finds them; it knows some providers by itself, which guts does not.
 *
 * Threads: any, as long as nobody changes the environment.
 */
#ifndef GUTS_COMMON_OPENSTACK_CLOUD_FILES_H
#define GUTS_COMMON_OPENSTACK_CLOUD_FILES_H

#include <jansson.h>

#include "common/base/error.h"
#include "common/base/memory.h"

/* A new reference with an object "auth"; NULL: no cloud is named, but OS_AUTH_URL is set. Faults as
 * cloud_read. */
bool cloud_entry_read(const char *name, struct arena *arena, json_t **ret_entry,
                      const char **ret_name, struct error *err) MUST_CHECK;

#endif
