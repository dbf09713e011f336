/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a migration that are the steps' own and that every destination therefore has. They are
 * declared beside each destination driver's options, so that the API and the page know them.
 *
 * Threads: constant data.
 */
#ifndef GUTS_MIGRATION_COMMON_OPTIONS_H
#define GUTS_MIGRATION_COMMON_OPTIONS_H

#include "migration/setting.h"

#define OPTION_STOP_SOURCE "stop_source"

extern const struct setting common_options[];
extern const size_t common_option_count;

#endif
