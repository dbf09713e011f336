/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations share their routes' functions; these are shared with other resources.
 *
 * Threads: of one call.
 */
#ifndef GUTS_API_ENDPOINT_H
#define GUTS_API_ENDPOINT_H

#include "api/call.h"
#include "common/store/endpoint.h"

/* By id or name, within the call's scope. FAULT_NOT_FOUND names what was asked for. */
bool endpoint_named(struct call *call, enum end end, const char *name_or_id,
                    struct endpoint *ret_endpoint, struct error *err) MUST_CHECK;
/* Writes it as an object. */
void endpoint_write(struct writer *writer, enum end end, const struct endpoint *endpoint);
/* The filter "source" or "destination" of a list: nil when it is not given. */
bool endpoint_query(struct call *call, enum end end, struct uuid *ret_id,
                    struct error *err) MUST_CHECK;

/* Complains of names that the destination's catalogue, as it was last read, does not hold or holds
 * twice; a kind that was never read refuses nothing. */
struct option_names;
struct reader;
bool option_lookup(struct call *call, struct reader *reader, const struct endpoint *destination,
                   const struct option_names *names, struct error *err) MUST_CHECK;

#endif
