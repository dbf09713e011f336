/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

const struct fault FAULT_INTERNAL = {
    "internal", RETRY_NEVER, 500, "An internal error happened",
    "This is a defect of guts: please report it together with the log lines around it."};
const struct fault FAULT_INVALID = {"invalid", RETRY_NEVER, 400, "An input is not valid",
                                    "Correct what the detail names and send it again."};
const struct fault FAULT_NOT_FOUND = {
    "not_found", RETRY_NEVER, 404, "There is no such thing",
    "Check the id or the name; it may have been deleted, or belong to another project."};
const struct fault FAULT_CONFLICT = {"conflict", RETRY_NEVER, 409,
                                     "It exists already or stands otherwise",
                                     "Look at its present state and decide again."};
const struct fault FAULT_DENIED = {
    "denied", RETRY_NEVER, 403, "Permission was denied",
    "Check ownership, modes and credentials of what the detail names."};
const struct fault FAULT_IO = {"io", RETRY_AGAIN, 500, "Reading or writing failed",
                               "Check the device, the mount and the kernel's log of the host."};
const struct fault FAULT_NO_SPACE = {"no_space", RETRY_AGAIN, 507, "A filesystem is full",
                                     "Free space or raise the quota on the filesystem named."};
const struct fault FAULT_TOO_LARGE = {"too_large", RETRY_NEVER, 413,
                                      "Something is larger than is allowed",
                                      "Send less, or raise the limit where it is configurable."};
const struct fault FAULT_TIMEOUT = {"timeout", RETRY_AGAIN, 504, "No answer came in time",
                                    "Check the load and the network between both sides."};
const struct fault FAULT_UNAVAILABLE = {
    "unavailable", RETRY_AGAIN, 503, "A peer cannot be reached",
    "Check that it runs, and name resolution, routes, firewalls."};
const struct fault FAULT_UNCERTAIN = {"uncertain", RETRY_FIND_OUT, 504, "The outcome is unknown",
                                      "It may have happened: look at the present state first."};
const struct fault FAULT_CANCELLED = {"cancelled", RETRY_NEVER, 409, "Somebody asked to stop",
                                      "Start it again when it is wanted after all."};
const struct fault FAULT_CONFIG = {"config", RETRY_NEVER, 500, "The configuration is wrong",
                                   "Correct the file; --check-config tells what is wrong with it."};
const struct fault FAULT_UNSUPPORTED = {"unsupported", RETRY_NEVER, 501,
                                        "This is not supported here",
                                        "Choose another way, or a build that supports it."};
const struct fault FAULT_DB_UNAVAILABLE = {
    "db_unavailable", RETRY_AGAIN, 503, "The database cannot be reached",
    "Check that it runs and that the configured address, user and password are right."};
const struct fault FAULT_DB_DEADLOCK = {
    "db_deadlock", RETRY_AGAIN, 503, "The database let another transaction pass",
    "Try again; look for long transactions in the database if it persists."};
const struct fault FAULT_DB_DUPLICATE = {"db_duplicate", RETRY_NEVER, 409, "It exists already",
                                         "Use the one that exists, or choose another name."};
const struct fault FAULT_DB_READ_ONLY = {
    "db_read_only", RETRY_AGAIN, 503, "The database takes no writes at present",
    "It is a replica or in maintenance: put the primary's address first in the configuration."};

const struct fault FAULT_QUOTA_EXCEEDED = {
    "quota_exceeded", RETRY_NEVER, 409, "A quota of the cloud leaves no room for it",
    "Raise the project's quota, or remove what is no longer needed; the text names which one."};
const struct fault FAULT_OVER_LIMIT = {
    "over_limit", RETRY_AGAIN, 503, "The cloud wants fewer requests",
    "Try again later; lower how many migrations run to it at once."};

/* Formats beside err first, because an argument may be err's own text. */
bool error_setv(struct error *err, const struct fault *fault, const char *format, va_list args)
{
    if (err == NULL)
        return false;
    char text[sizeof(err->text) + 4];
    vsnprintf(text, sizeof(text), format, args);
    utf8_mend(text); /* a message with one wrong byte is refused as a whole by who receives it */
    size_t length = utf8_cut(text, strlen(text), sizeof(err->text) - 1);
    memcpy(err->text, text, length);
    err->text[length] = '\0';
    err->fault = fault;
    return false;
}

bool error_set(struct error *err, const struct fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(err, fault, format, args);
    va_end(args);
    return false;
}

static const struct fault *fault_from_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return &FAULT_NO_SPACE;
    case EACCES:
    case EPERM:
        return &FAULT_DENIED;
    case ENOENT:
        return &FAULT_NOT_FOUND;
    case EFBIG: /* of the filesystem, or a limit of the process */
        return &FAULT_TOO_LARGE;
    case ETIMEDOUT:
        return &FAULT_TIMEOUT;
    default:
        return &FAULT_IO;
    }
}

bool error_set_errno(struct error *err, int number, const char *format, ...)
{
    struct error said;
    char reason[128];
    va_list args;
    va_start(args, format);
    error_setv(&said, fault_from_errno(number), format, args);
    va_end(args);
    return error_set(err, said.fault, "%s: %s", said.text,
                     strerror_r(number, reason, sizeof(reason)));
}

bool error_prefix(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    struct error prefix;
    va_list args;
    va_start(args, format);
    error_setv(&prefix, err->fault, format, args);
    va_end(args);
    return error_set(err, err->fault, "%s: %s", prefix.text, err->text);
}
