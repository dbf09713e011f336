/* SPDX-License-Identifier: Apache-2.0
 *
 * A small cloud and a vm with two disks, for tests of what is chosen there.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_CHOICE_WORLD_H
#define GUTS_TESTS_UNIT_MIGRATION_CHOICE_WORLD_H

#include "migration/destination/fault_list.h"
#include "migration/destination/openstack_choice.h"

struct world {
    struct arena *arena;
    struct openstack_facts facts;
    struct vm_disk disks[3];
    struct vm_nic nics[3];
    struct vm vm;
    const char *server_name;
    struct openstack_held held;
    struct settings *settings;
    struct openstack_options options;
    struct openstack_choice choice;
    struct fault_list *faults;
};

/* As a service answers: a fact more. */
void world_take(struct world *world, openstack_take *reader, const char *text);
void world_add_flavor(struct world *world, const char *id, const char *name, int ram, int cpus,
                      int disk, const char *more);
void world_add_network(struct world *world, const char *id, const char *name, const char *more);
int world_begin(void **state);
int world_end(void **state);
void world_choose(struct world *world, const char *options);
void assert_fine(struct world *world);
/* Just this fault, with these words. */
void assert_fault(struct world *world, const struct fault *fault, const char *words);

#endif
