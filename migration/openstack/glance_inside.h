/* SPDX-License-Identifier: Apache-2.0
 *
 * Between glance_disk.c and glance_whole.c: the way to one image's bytes, with a token that is renewed.
 */
#ifndef GUTS_MIGRATION_OPENSTACK_GLANCE_INSIDE_H
#define GUTS_MIGRATION_OPENSTACK_GLANCE_INSIDE_H

#include "migration/disk/http.h"
#include "migration/openstack/glance_disk.h"

struct glance_way {
    struct link *link;
    pthread_mutex_t *mutex;
    char *url;
    char *token_header; /* wiped with the way */
    const char *headers[2];
    uint64_t memory_bytes; /* see struct http_plan */
};
/* What to ask with; borrowed from the way until the next call. */
bool glance_way_plan(struct glance_way *way, struct http_plan *ret_plan,
                     struct error *err) MUST_CHECK;
/* The next plan has another token. */
void glance_way_forget(struct glance_way *way);

/* By downloads from the beginning on: sequential, two of them, so that tables and data may be read in turns;
 * a jump back begins another. The way outlives it. */
bool glance_whole_open(struct glance_way *way, struct disk **ret_disk,
                       struct error *err) MUST_CHECK;

#endif
