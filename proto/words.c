/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/words.h"

#include <stddef.h>
#include <string.h>

#include "common/base/memory.h"

static const char *const owner_kinds[] = {"unknown", "migration", "source", "destination", "node"};
static const char *const job_kinds[] = {"unknown", "test",     "discover", "catalog",
                                        "migrate", "rollback", "cleanup",  "gc"};
static const char *const ends[] = {"unknown", "source", "destination"};
static const char *const ledger_states[] = {"unknown", "intended",  "made", "undone",
                                            "kept",    "not_found", "error"};
static const char *const wanteds[] = {"unknown", "go", "cancel", "close", "fenced"};

static const char *word_name(const char *const *words, size_t count, unsigned number)
{
    return words[number < count ? number : 0];
}

static unsigned word_parse(const char *const *words, size_t count, const char *name)
{
    for (unsigned i = 1; name && i < count; i++)
        if (strcmp(words[i], name) == 0)
            return i;
    return 0;
}

const char *owner_kind_name(enum owner_kind kind)
{
    return word_name(owner_kinds, COUNT_OF(owner_kinds), kind);
}

enum owner_kind owner_kind_parse(const char *name)
{
    return (enum owner_kind)word_parse(owner_kinds, COUNT_OF(owner_kinds), name);
}

const char *job_kind_name(enum job_kind kind)
{
    return word_name(job_kinds, COUNT_OF(job_kinds), kind);
}

enum job_kind job_kind_parse(const char *name)
{
    return (enum job_kind)word_parse(job_kinds, COUNT_OF(job_kinds), name);
}

const char *end_name(enum end end)
{
    return word_name(ends, COUNT_OF(ends), end);
}

enum end end_parse(const char *name)
{
    return (enum end)word_parse(ends, COUNT_OF(ends), name);
}

const char *ledger_state_name(enum ledger_state state)
{
    return word_name(ledger_states, COUNT_OF(ledger_states), state);
}

enum ledger_state ledger_state_parse(const char *name)
{
    return (enum ledger_state)word_parse(ledger_states, COUNT_OF(ledger_states), name);
}

const char *wanted_name(enum wanted wanted)
{
    return word_name(wanteds, COUNT_OF(wanteds), wanted);
}
