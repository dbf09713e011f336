/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: what went wrong, as a fault from the closed list, with one line of text.
 *
 * A function that can fail for more than one reason returns bool, takes `struct error *err` last
 * and leaves its outputs untouched when it fails. The error is set where it arises, prefixed on its
 * way up, decided upon once at the top. The faults that any room may meet are declared here; those
 * of moving machines in proto/fault.h, which also holds the closed list of all of them.
 *
 * Threads: an error belongs to its caller. Nothing here allocates.
 */
#ifndef GUTS_COMMON_BASE_ERROR_H
#define GUTS_COMMON_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#define MUST_CHECK __attribute__((__warn_unused_result__))
#define PRINTF_LIKE(text, first)                                                                   \
    __attribute__((__format__(__printf__, text, first), __nonnull__(text)))

/* What may be done after a fault. */
enum retry {
    RETRY_NEVER,    /* the same request fails again until somebody changes something */
    RETRY_AGAIN,    /* it may pass later without anybody's doing */
    RETRY_FIND_OUT, /* the outcome is unknown: look before repeating it */
};

/* One kind of failure. All are constants, compared by address. */
struct fault {
    const char *code; /* lower case with underscores; never changes once released */
    enum retry retry;
    unsigned http_status; /* what the API answers when a request fails so */
    const char *title;    /* one line, the same for all that fail so (RFC 9457 "title") */
    const char *hint;     /* what an operator can do about it */
};

extern const struct fault FAULT_INTERNAL;    /* a bug of ours */
extern const struct fault FAULT_INVALID;     /* an input that breaks a rule */
extern const struct fault FAULT_NOT_FOUND;   /* no such thing */
extern const struct fault FAULT_CONFLICT;    /* it exists or stands otherwise already */
extern const struct fault FAULT_DENIED;      /* the operating system or the peer refuses */
extern const struct fault FAULT_IO;          /* reading or writing failed */
extern const struct fault FAULT_NO_SPACE;    /* a filesystem is full */
extern const struct fault FAULT_TOO_LARGE;   /* a size from outside beyond its bound */
extern const struct fault FAULT_TIMEOUT;     /* no answer in time */
extern const struct fault FAULT_UNAVAILABLE; /* a peer cannot be reached */
extern const struct fault FAULT_UNCERTAIN;   /* sent, but no answer: it may have happened */
extern const struct fault FAULT_CANCELLED;   /* somebody asked to stop */
extern const struct fault FAULT_CONFIG;      /* the configuration is wrong */
extern const struct fault FAULT_UNSUPPORTED; /* known, but not served here */

/* Of common/db; they stand here so that the closed list (proto/fault.h), below it, can name them. */
extern const struct fault FAULT_DB_UNAVAILABLE; /* not sent, or surely rolled back */
extern const struct fault FAULT_DB_DEADLOCK;    /* rolled back to let another transaction pass */
extern const struct fault FAULT_DB_DUPLICATE;   /* a unique key exists already */
extern const struct fault FAULT_DB_READ_ONLY;   /* the server takes no writes at present */

/* Of common/openstack, for the same reason. */
extern const struct fault FAULT_QUOTA_EXCEEDED; /* a cloud's quota leaves no room for it */
extern const struct fault FAULT_OVER_LIMIT;     /* a peer wants fewer requests */

struct error {
    const struct fault *fault; /* NULL: no error */
    char text[504];
};

/* Sets err; a text that is too long is cut. Returns false, so that `return error_set(…)` reads well. */
bool error_set(struct error *err, const struct fault *fault, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool error_setv(struct error *err, const struct fault *fault, const char *format, va_list args)
    PRINTF_LIKE(3, 0);

/* The same with ": strerror(number)" behind the text; the fault follows from the number
 * (ENOSPC and EDQUOT are FAULT_NO_SPACE, EACCES and EPERM FAULT_DENIED, ENOENT FAULT_NOT_FOUND,
 * EFBIG FAULT_TOO_LARGE, ETIMEDOUT FAULT_TIMEOUT, all others FAULT_IO). */
bool error_set_errno(struct error *err, int number, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "text: " in front of what err says. Returns false. */
bool error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
