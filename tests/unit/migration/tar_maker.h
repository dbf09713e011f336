/* SPDX-License-Identifier: Apache-2.0
 *
 * Tar archives for tests, sound or not: one header after another, as told.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_TAR_MAKER_H
#define GUTS_TESTS_UNIT_MIGRATION_TAR_MAKER_H

#include "common/base/memory.h"

void tar_add(struct buffer *tar, const char *name, char type, const void *data, size_t length);
/* The same with a size that need not be true. */
void tar_add_lying(struct buffer *tar, const char *name, char type, const void *data, size_t length,
                   const char *size_field);
void tar_end(struct buffer *tar);

#endif
