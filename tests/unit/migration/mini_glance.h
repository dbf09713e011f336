/* SPDX-License-Identifier: Apache-2.0
 *
 * Keystone and Glance, as small as a disk needs them: images by id, bytes that go in and come out, tokens of
 * which only the newest is good. What goes wrong is set by the test, in `glance`, between calls.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_MINI_GLANCE_H
#define GUTS_TESTS_UNIT_MIGRATION_MINI_GLANCE_H

#include "migration/openstack/link.h"

#define MINI_IMAGES_MOST 8

struct mini_image {
    char id[64];
    char key[64], migration[64], format[16];
    uint8_t *bytes; /* NULL: queued */
    size_t length;
    bool deleted;
};
struct mini_glance {
    struct cloud_peer *peer;
    struct mini_image images[MINI_IMAGES_MOST];
    size_t image_count;
    unsigned tokens;
    bool ranges;        /* of its store */
    unsigned refused;   /* uploads and downloads answered with 401; counted down */
    size_t cut;         /* the next download ends after so many bytes */
    bool stale_on_cut;  /* and its token ends with it */
    bool damages;       /* a byte of each upload, behind the digest */
    const char *hash;   /* what it says of the digest; NULL: sha512 of what came */
    unsigned downloads; /* answered with bytes */
    unsigned uploads;   /* taken whole */
};
extern struct mini_glance glance;

/* Around each test. */
void mini_glance_begin(void);
void mini_glance_end(void);
/* A link as a driver has it, without settings. */
struct link *mini_link(struct work *work);
struct mini_image *mini_image_find(const char *id); /* NULL: never made */
/* An active one with those bytes, copied. */
void mini_image_add(const char *id, const void *bytes, size_t length);

#endif
