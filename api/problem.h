/* SPDX-License-Identifier: Apache-2.0
 *
 * Problem bodies (RFC 9457): the one shape of every error that the API answers with, and the shorter
 * shape in which stored faults are shown.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_API_PROBLEM_H
#define GUTS_API_PROBLEM_H

#include "common/base/error.h"
#include "common/json/reader.h"
#include "common/json/writer.h"

/* `reader` may be NULL; what it complained of becomes "errors". The text of a defect of ours is not
 * shown: it stands in the log beside the request's id. */
void problem_write(struct buffer *body, const struct error *err, const struct reader *reader,
                   const char *instance, const char *request_id);
/* {"code", "title", "detail", "hint"} of a stored fault, or null when code is NULL. */
void problem_write_fault(struct writer *writer, const char *key, const char *code,
                         const char *text);

#endif
