/* SPDX-License-Identifier: Apache-2.0
 *
 * What guts-api counts: calls by route and by the class of their answer, and their time.
 *
 * Threads: count_begin before they start; the rest from any.
 */
#ifndef GUTS_API_COUNT_H
#define GUTS_API_COUNT_H

#include "api/call.h"

void count_begin(void);
void count_call(const struct call *call);
void count_streams(int64_t change);          /* readers of the event stream */
void count_batch(size_t asked, size_t read); /* shows that were answered together, ids read */

#endif
