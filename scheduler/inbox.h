/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes over the bus. Messages are bounded, unpacked and checked as they are gathered; what
 * cannot be understood goes to the dead-letter queue at once. Applying them changes the picture and
 * fills the tick; it fails only with the database. The generated structs stay in the inbox files.
 *
 * Threads: one.
 */
#ifndef GUTS_SCHEDULER_INBOX_H
#define GUTS_SCHEDULER_INBOX_H

#include "scheduler/tick.h"

struct inbox_item {
    struct bus_message message; /* its body is copied */
    ProtobufCMessage *body;
};
struct inbox {
    struct arena *arena;
    TICK_LIST(struct inbox_item) items;
    bool hinted; /* an api says that something is due */
};

/* Waits at most wait_ms for the first message, then takes what is ready within the bounds of the
 * settings. */
void inbox_gather(struct scheduler *scheduler, struct inbox *inbox, uint64_t wait_ms,
                  int signal_fd);
bool inbox_apply(struct tick *tick, const struct inbox_item *items, size_t count,
                 struct error *err) MUST_CHECK;
void inbox_ack(struct scheduler *scheduler, const struct inbox *inbox);

/* inbox_check.c: every id, text and number that apply relies on. Of reports what is bad is taken out
 * where the rest can stand without it. */
bool inbox_check(enum message_type type, ProtobufCMessage *body, struct arena *arena,
                 struct error *err) MUST_CHECK;
bool inbox_is_text(const char *text, size_t most); /* printable ASCII without blanks or quotes */
bool inbox_is_word(const char *text);              /* the same, of at most 64 characters */
bool inbox_is_id(ProtobufCBinaryData data);
bool inbox_is_json(const char *text); /* or nothing: the api hands it on as it is */
bool inbox_is_token(const Guts__V1__Token *wire);
/* inbox_trim.c; `node` is for the log. */
void inbox_trim_report(Guts__V1__NodeReport *report, struct arena *arena);
void inbox_trim_job(Guts__V1__JobReport *job, struct arena *arena, const char *node);
void inbox_trim_result(Guts__V1__JobResult *result, struct arena *arena, const char *node);
/* inbox_report.c */
bool inbox_apply_report(struct tick *tick, const Guts__V1__NodeReport *report,
                        struct error *err) MUST_CHECK;
/* One that was refused as a whole counts as told: it would be asked for without end. */
void inbox_forgo_report(struct scheduler *scheduler, const Guts__V1__NodeReport *report);
/* inbox_split.c: the parts of a report, by number, which it can do without. */
struct inbox_split *inbox_split_new(struct arena *arena, Guts__V1__NodeReport *report);
size_t inbox_split_count(const struct inbox_split *split);
/* The report holds these alone, without what was dropped. */
void inbox_split_show(struct inbox_split *split, size_t first, size_t count);
/* For good. A result gives way to one that says so. */
void inbox_split_drop(struct inbox_split *split, size_t first, size_t count);
/* inbox_driver.c */
void inbox_apply_drivers(struct tick *tick, const Guts__V1__NodeReport *report);
/* inbox_job.c */
void inbox_apply_accept(struct tick *tick, const Guts__V1__JobAccept *accept);
bool inbox_apply_refuse(struct tick *tick, const Guts__V1__JobRefuse *refuse,
                        struct error *err) MUST_CHECK;
void inbox_accept_job(struct tick *tick, struct job *job);
/* Whether the result is stored now (or was before): the job may be closed. */
bool inbox_apply_result(struct tick *tick, struct job *job, const Guts__V1__JobResult *result,
                        bool *ret_stored, struct error *err) MUST_CHECK;
/* What a report says of a job that is the node's. */
void inbox_apply_progress(struct tick *tick, struct job *job, const Guts__V1__JobReport *report);
/* ... of one that has ended: its result may come before the report of its last steps. */
void inbox_apply_last_words(struct tick *tick, struct job *job, const Guts__V1__JobReport *report);
/* inbox_page.c */
bool inbox_apply_inventory(struct tick *tick, const Guts__V1__InventoryPage *page,
                           struct error *err) MUST_CHECK;
bool inbox_apply_catalogue(struct tick *tick, const Guts__V1__CatalogPage *page,
                           struct error *err) MUST_CHECK;

#endif
