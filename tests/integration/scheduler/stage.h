/* SPDX-License-Identifier: Apache-2.0
 *
 * What each of the test programs begins with: a world, a node in it, and a second one where asked.
 */
#ifndef GUTS_TESTS_INTEGRATION_SCHEDULER_STAGE_H
#define GUTS_TESTS_INTEGRATION_SCHEDULER_STAGE_H

#include "tests/integration/scheduler/world.h"

#define DONE GUTS__V1__OUTCOME__OUTCOME_DONE
#define FAILED GUTS__V1__OUTCOME__OUTCOME_FAILED
#define CANCELLED GUTS__V1__OUTCOME__OUTCOME_CANCELLED
#define STORED GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED
#define FENCED GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED
#define STOP GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STOP

static struct world world;
static struct world_node one, two;

static inline int set_up(void **state)
{
    world_begin(&world);
    world_node_begin(&world, &one, "node-1");
    world_turn(&world, 1);
    world_node_take(&one);
    return 0;
}

static inline int tear_down(void **state)
{
    world_node_end(&one);
    if (two.bus != NULL)
        world_node_end(&two);
    two.bus = NULL;
    world_end(&world);
    return 0;
}

static inline void second_node(void)
{
    world_node_begin(&world, &two, "node-2");
    world_turn(&world, 1);
    world_node_take(&two);
}

static inline void rounds(unsigned count)
{
    struct world_node *nodes[] = {&one, &two};
    for (unsigned i = 0; i < count; i++)
        world_round(&world, nodes, two.bus == NULL ? 1 : 2);
}

static inline void run_sql(const char *sql)
{
    struct error err = {0};
    world_must(db_execute(world.db, sql, NULL, 0, NULL, &err), &err);
}

/* A migration whose job node-1 has accepted. */
static inline struct uuid begin_migration(const char *on_failure, struct world_job **ret_job)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id = world_migrate(&world, &vm, on_failure, false, "{}");
    world_turn(&world, 1);
    world_node_take(&one);
    world_turn(&world, 1);
    *ret_job = world_node_job(&one, &id);
    assert_non_null(*ret_job);
    return id;
}

#endif
