/* SPDX-License-Identifier: Apache-2.0
 *
 * libguts: the API of guts for C programs; the command line `guts` is its first user. A session
 * speaks with one API daemon, says who it is, follows pages, waits for wishes, follows events. What
 * the API answers is handed over as jansson objects with the fields of api/openapi.yaml: this library
 * has no opinion on them.
 *
 * Ownership: a `json_t *` that is returned is a new reference of the caller's (json_decref). Texts
 * that are passed in are borrowed for the call.
 * Threads: a session belongs to one thread at a time; several sessions may live in several threads.
 */
#ifndef GUTS_CLIENT_LIB_GUTS_H
#define GUTS_CLIENT_LIB_GUTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GUTS_PUBLIC __attribute__((__visibility__("default")))

struct guts;

struct guts_settings {
    const char *url;         /* "http://127.0.0.1:7000" */
    const char *token;       /* NULL: none */
    const char *ca_file;     /* NULL: the system's */
    const char *certificate; /* of the client, PEM; NULL: none */
    const char *key;
    uint64_t timeout_ms; /* of one request; 0: 60 s */
    /* Set by a signal handler: ends a request within a second (code "cancelled"). NULL: never. */
    const volatile int *stop;
    /* Asked once for another token when the API refuses the one that it was given (401); borrowed. NULL
     * from it: there is none. NULL: never asked. */
    const char *(*renew_token)(void *context);
    void *renew_context;
};

/* What went wrong. `status` is HTTP's, 0 when there was no answer at all. */
struct guts_error {
    unsigned status;
    char code[64]; /* a fault of the closed list, "vm_running" */
    char title[160];
    char detail[512];
    char hint[320];
    json_t *errors; /* all field errors [{"pointer", "detail"}], or NULL; freed by _clear */
};
GUTS_PUBLIC void guts_error_clear(struct guts_error *err);

/* Does not connect. NULL when the settings make no sense. */
GUTS_PUBLIC struct guts *guts_open(const struct guts_settings *settings, struct guts_error *err);
GUTS_PUBLIC void guts_close(struct guts *guts);

/* Kinds of things, as they stand in paths: "sources", "vms" … */
enum guts_kind {
    GUTS_SOURCES,
    GUTS_DESTINATIONS,
    GUTS_VMS,
    GUTS_MIGRATIONS,
    GUTS_WISHES,
    GUTS_EVENTS,
    GUTS_NODES,
    GUTS_SERVICES,
    GUTS_DRIVERS,
};
#define GUTS_KIND_COUNT 9
GUTS_PUBLIC const char *guts_kind_path(enum guts_kind kind);

struct guts_filter {
    const char *name;
    const char *value;
};

/* Any request under /v1: `path` without it ("/sources/x/test"), values in it escaped by guts_escape.
 * The answer's object, or NULL with err; an answer without a body is {}. */
GUTS_PUBLIC json_t *guts_call(struct guts *guts, const char *method, const char *path,
                              const json_t *body, struct guts_error *err);
GUTS_PUBLIC char *guts_escape(const char *text); /* percent-encoded, heap */

/* All things of a kind that pass the filters, page by page, at most `most` (0: all). `path` NULL
 * stands for the kind's own; a destination's catalogue is another. An array. */
GUTS_PUBLIC json_t *guts_list(struct guts *guts, enum guts_kind kind, const char *path,
                              const struct guts_filter *filters, size_t filter_count, size_t most,
                              struct guts_error *err);
/* One thing, by id or by name where it has one. */
GUTS_PUBLIC json_t *guts_show(struct guts *guts, enum guts_kind kind, const char *what,
                              struct guts_error *err);
GUTS_PUBLIC json_t *guts_create(struct guts *guts, enum guts_kind kind, const json_t *body,
                                struct guts_error *err);
GUTS_PUBLIC json_t *guts_update(struct guts *guts, enum guts_kind kind, const char *what,
                                const json_t *body, struct guts_error *err);
GUTS_PUBLIC json_t *guts_delete(struct guts *guts, enum guts_kind kind, const char *what,
                                struct guts_error *err);
/* A verb on one thing: "cancel", "refresh", "drain" … */
GUTS_PUBLIC json_t *guts_act(struct guts *guts, enum guts_kind kind, const char *what,
                             const char *verb, const json_t *body, struct guts_error *err);

/* Waits until the wish that an answer carries ({"wish": …}) has its outcome; at most timeout_ms (0: no
 * limit). Its last state; a wish that was refused or failed is NULL with its fault. An API that does
 * not answer meanwhile is waited for, a minute at most. */
GUTS_PUBLIC json_t *guts_wish_wait(struct guts *guts, const json_t *answer, uint64_t timeout_ms,
                                   const volatile int *stop, struct guts_error *err);

/* Follows events behind number `after` and calls take for each until it returns false (then true is
 * returned) or until *stop is set by a signal handler. An API that cannot be reached at first is an
 * error; later it reconnects by itself and resumes. Where events behind `after` are no longer kept, the
 * first is one of the kind "events.missing" that says so. Calls take with NULL about once a second while
 * nothing comes, and before each new attempt to connect. */
GUTS_PUBLIC bool guts_follow(struct guts *guts, uint64_t after, const struct guts_filter *filters,
                             size_t filter_count, const volatile int *stop,
                             bool (*take)(void *context, const json_t *event), void *context,
                             struct guts_error *err);
/* Whether the last connection that guts_follow made still stands. */
GUTS_PUBLIC bool guts_is_following(const struct guts *guts);

#ifdef __cplusplus
}
#endif
#endif
