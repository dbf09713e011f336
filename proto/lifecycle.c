/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/lifecycle.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define BIT(state) (1u << (state))
/* What a fault or a cancel may meet: all before the result is proven. */
#define UNFINISHED                                                                                 \
    (BIT(MIGRATION_PENDING) | BIT(MIGRATION_SCHEDULED) | BIT(MIGRATION_DISCOVERED) |               \
     BIT(MIGRATION_CONVERTING) | BIT(MIGRATION_UPLOADING) | BIT(MIGRATION_SYNCING) |               \
     BIT(MIGRATION_WAITING) | BIT(MIGRATION_DEPLOYED))
#define FINAL (BIT(MIGRATION_CLEANED) | BIT(MIGRATION_ROLLED_BACK) | BIT(MIGRATION_CANCELLED))
#define BREAK (BIT(MIGRATION_FAILED) | BIT(MIGRATION_CANCELLING))
#define TAKEOVER BIT(MIGRATION_SCHEDULED)

struct state_row {
    const char *name;
    uint32_t moves; /* BIT() of each state that may follow */
};

/* The one table; proto/README.md draws it. */
static const struct state_row table[MIGRATION_STATE_COUNT] = {
    [MIGRATION_UNKNOWN] = {"UNKNOWN", 0},
    [MIGRATION_PENDING] = {"PENDING", BIT(MIGRATION_SCHEDULED) | BREAK},
    [MIGRATION_SCHEDULED] = {"SCHEDULED",
                             BIT(MIGRATION_DISCOVERED) | BIT(MIGRATION_PENDING) | BREAK},
    [MIGRATION_DISCOVERED] = {"DISCOVERED", BIT(MIGRATION_CONVERTING) | BIT(MIGRATION_UPLOADING) |
                                                BIT(MIGRATION_SYNCING) | TAKEOVER | BREAK},
    [MIGRATION_CONVERTING] = {"CONVERTING", BIT(MIGRATION_UPLOADING) | BIT(MIGRATION_DEPLOYED) |
                                                BIT(MIGRATION_WAITING) | TAKEOVER | BREAK},
    [MIGRATION_UPLOADING] = {"UPLOADING", BIT(MIGRATION_CONVERTING) | BIT(MIGRATION_DEPLOYED) |
                                              BIT(MIGRATION_WAITING) | TAKEOVER | BREAK},
    [MIGRATION_SYNCING] = {"SYNCING", BIT(MIGRATION_WAITING) | TAKEOVER | BREAK},
    [MIGRATION_WAITING] = {"WAITING", BIT(MIGRATION_SYNCING) | BIT(MIGRATION_CONVERTING) |
                                          BIT(MIGRATION_UPLOADING) | TAKEOVER | BREAK},
    [MIGRATION_DEPLOYED] = {"DEPLOYED",
                            BIT(MIGRATION_VERIFIED) | BIT(MIGRATION_WAITING) | TAKEOVER | BREAK},
    [MIGRATION_VERIFIED] = {"VERIFIED", BIT(MIGRATION_CLEANING) | BIT(MIGRATION_ROLLING_BACK)},
    [MIGRATION_CLEANING] = {"CLEANING", BIT(MIGRATION_CLEANED)},
    [MIGRATION_CLEANED] = {"CLEANED", 0},
    [MIGRATION_FAILED] = {"FAILED", BIT(MIGRATION_PENDING) | BIT(MIGRATION_ROLLING_BACK)},
    [MIGRATION_ROLLING_BACK] = {"ROLLING_BACK", BIT(MIGRATION_ROLLED_BACK) | BIT(MIGRATION_FAILED)},
    [MIGRATION_ROLLED_BACK] = {"ROLLED_BACK", 0},
    [MIGRATION_CANCELLING] = {"CANCELLING", BIT(MIGRATION_CANCELLED) | BIT(MIGRATION_FAILED)},
    [MIGRATION_CANCELLED] = {"CANCELLED", 0},
};

static const struct {
    const char *name;
    uint32_t states; /* in which it makes sense */
} verbs[] = {
    [VERB_CANCEL] = {"cancel", UNFINISHED},
    [VERB_RETRY] = {"retry", BIT(MIGRATION_FAILED)},
    [VERB_ROLLBACK] = {"rollback", BIT(MIGRATION_FAILED) | BIT(MIGRATION_VERIFIED)},
    /* CLEANING too: what failed in it is tried again. */
    [VERB_CLEANUP] = {"cleanup", BIT(MIGRATION_VERIFIED) | BIT(MIGRATION_CLEANING)},
    [VERB_DELETE] = {"delete", FINAL},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static bool is_state(enum migration_state state)
{
    return state > MIGRATION_UNKNOWN && state < MIGRATION_STATE_COUNT;
}

static bool is_in(enum migration_state state, uint32_t states)
{
    return is_state(state) && (states & BIT(state)) != 0;
}

const char *migration_state_name(enum migration_state state)
{
    return table[is_state(state) ? state : MIGRATION_UNKNOWN].name;
}

enum migration_state migration_state_parse(const char *name)
{
    for (unsigned i = MIGRATION_PENDING; name && i < MIGRATION_STATE_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return (enum migration_state)i;
    return MIGRATION_UNKNOWN;
}

const char *migration_verb_name(enum migration_verb verb)
{
    assert((unsigned)verb < VERB_COUNT);
    return verbs[verb].name;
}

bool lifecycle_allows(enum migration_state from, enum migration_state to)
{
    return is_state(from) && is_in(to, table[from].moves);
}

bool lifecycle_accepts(enum migration_state state, enum migration_verb verb)
{
    return (unsigned)verb < VERB_COUNT && is_in(state, verbs[verb].states);
}

bool lifecycle_is_open(enum migration_state state)
{
    return is_state(state) && !lifecycle_is_final(state);
}

bool lifecycle_is_resting(enum migration_state state)
{
    return is_in(state, FINAL | BIT(MIGRATION_FAILED) | BIT(MIGRATION_VERIFIED));
}

bool lifecycle_is_final(enum migration_state state)
{
    return is_in(state, FINAL);
}

bool lifecycle_is_unfinished(enum migration_state state)
{
    return is_in(state, UNFINISHED);
}

/* Writes the states of a forward job in their order; those that this journey leaves out are left
 * out: the warm ones unless it stands there or goes there, the other way of copying likewise. */
static size_t line_write(enum migration_state from, enum migration_state to,
                         enum migration_state way,
                         enum migration_state ret_line[MIGRATION_STATE_COUNT])
{
    enum migration_state other =
        way == MIGRATION_UPLOADING ? MIGRATION_CONVERTING : MIGRATION_UPLOADING;
    const enum migration_state all[] = {
        MIGRATION_PENDING,
        MIGRATION_SCHEDULED,
        MIGRATION_DISCOVERED,
        MIGRATION_SYNCING,
        MIGRATION_WAITING,
        way,
        other,
        MIGRATION_DEPLOYED,
        MIGRATION_VERIFIED,
    };
    bool warm = from == MIGRATION_SYNCING || to == MIGRATION_SYNCING || to == MIGRATION_WAITING;
    size_t count = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        enum migration_state state = all[i];
        bool is_optional =
            state == other || state == MIGRATION_SYNCING || state == MIGRATION_WAITING;
        bool is_warm_stop = warm && state != other;
        if (!is_optional || is_warm_stop || state == from || state == to)
            ret_line[count++] = state;
    }
    return count;
}

size_t lifecycle_path(enum migration_state from, enum migration_state to, enum migration_state way,
                      enum migration_state ret_path[MIGRATION_STATE_COUNT])
{
    enum migration_state line[MIGRATION_STATE_COUNT];
    size_t line_count, start = SIZE_MAX, end = SIZE_MAX, count = 0;

    if (way != MIGRATION_UPLOADING)
        way = MIGRATION_CONVERTING;
    line_count = line_write(from, to, way, line);
    for (size_t i = 0; i < line_count; i++) {
        if (line[i] == from)
            start = i;
        if (line[i] == to)
            end = i;
    }
    if (start == SIZE_MAX || end == SIZE_MAX || end <= start)
        return 0;
    for (size_t i = start + 1; i <= end; i++)
        ret_path[count++] = line[i];
    return count;
}
