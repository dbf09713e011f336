/* SPDX-License-Identifier: Apache-2.0
 *
 * A struct work for tests of drivers: its ledger is an array, its lease holds until told otherwise.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_FAKE_WORK_H
#define GUTS_TESTS_UNIT_MIGRATION_FAKE_WORK_H

#include "migration/work.h"

struct fake_work {
    const char *directory;
    const struct roots *roots;
    json_t *options;
    struct uuid owner;
    uint32_t attempt;
};
struct work *fake_work_new(const struct fake_work *plan);
void fake_work_free(struct work *work);
void fake_work_cancel(struct work *work);
void fake_work_fence(struct work *work); /* the next work_fence fails */
void fake_work_set_attempt(struct work *work, uint32_t attempt);
const char *fake_work_note(const struct work *work); /* the last one, or "" */
bool fake_work_is_partial(const struct work *work);

#endif
