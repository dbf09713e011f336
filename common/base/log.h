/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one JSON object a line on standard error:
 * {"at":…,"level":…,"daemon":…,"event":…,"text":…, ids of the scopes …}. `event` is a constant word
 * that can be searched for; ids come from the scopes and never from the call site.
 *
 * error: someone must act; warn: we coped; info: the life of a unit of work; debug: the rest. Rooms
 * below the daemons never log above debug. Secrets have a type (common/base/secret.h) that cannot
 * be printed. Lines are cut at 8 KiB and written with one write(2).
 *
 * Threads: any; scopes are of the thread that opened them.
 */
#ifndef GUTS_COMMON_BASE_LOG_H
#define GUTS_COMMON_BASE_LOG_H

#include "common/base/error.h"
#include "common/base/memory.h"

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

void log_open(const char *daemon, enum log_level least); /* before the first thread starts */
bool log_level_parse(const char *text, enum log_level *ret_level);
void log_to_fd(int fd); /* 2 unless told otherwise */

void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);
#define log_debug(event, ...) log_line(LOG_DEBUG_LEVEL, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_INFO_LEVEL, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_WARN_LEVEL, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_ERROR_LEVEL, event, __VA_ARGS__)
/* The same for a fault: adds "fault" and the error's text behind the words. */
void log_fault(enum log_level level, const char *event, const struct error *err);

/* While a scope is open, each line of its thread carries key and value. At most eight nest.
 *     LOG_SCOPE("migration", UUID_TEXT(&id));
 * lasts to the end of the block. The value is copied (63 bytes). */
struct log_scope {
    bool pushed;
};
struct log_scope log_scope_begin(const char *key, const char *value);
void log_scope_end(struct log_scope *scope);
#define LOG_SCOPE_NAME2(line) log_scope_##line
#define LOG_SCOPE_NAME(line) LOG_SCOPE_NAME2(line)
#define LOG_SCOPE(key, value)                                                                      \
    CLEANUP(log_scope_end)                                                                         \
    __attribute__((__unused__)) struct log_scope LOG_SCOPE_NAME(__LINE__) =                        \
        log_scope_begin(key, value)

#endif
