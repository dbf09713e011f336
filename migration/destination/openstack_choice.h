/* SPDX-License-Identifier: Apache-2.0
 *
 * What a vm becomes at an OpenStack, chosen from what the cloud offers and what the options say; and all
 * that would fail, found before anything is made. Pure: facts in, faults and a choice out.
 *
 * Threads: any. A choice borrows from the facts, the options and the vm, and lives in the arena.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_CHOICE_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_CHOICE_H

#include "migration/destination/destination.h"
#include "migration/destination/openstack_facts.h"
#include "migration/destination/openstack_options.h"

struct openstack_choice_nic {
    size_t number; /* the vm's, from 0 */
    const struct openstack_network *network;
    const char *mac; /* NULL: Neutron's */
    const struct openstack_address *addresses[VM_NICS_MOST];
    const struct openstack_subnet *subnets[VM_NICS_MOST]; /* of each address */
    size_t address_count;
};
struct openstack_choice_volume {
    uint64_t gib;
    const char *type; /* its name; NULL: the cloud's default */
};
struct openstack_choice {
    const struct openstack_flavor *flavor;
    struct openstack_choice_nic *nics; /* in order, without those that are left out */
    size_t nic_count;
    /* One a disk of the vm, in order; the first is not made when the server boots from an image. */
    struct openstack_choice_volume *volumes;
    size_t volume_count;
    struct openstack_choice_volume *extra_volumes;
    size_t extra_volume_count;
    const char *availability_zone, *volume_zone, *keypair; /* NULL: none said */
    const char **security_group_ids;
    size_t security_group_count;
    const char *image_format; /* "qcow2" or "raw" */
};

/* What the migration holds at the destination already, from a former attempt: it is counted in the
 * quotas' use, and is no rival. */
struct openstack_held {
    const char *mark; /* the migration's id, as it stands in what was made; NULL: nothing to know */
    uint64_t servers, volumes, ports;
};

struct openstack_question {
    const struct openstack_facts *facts;
    const struct vm *vm;
    const char *server_name;
    const struct openstack_options *options;
    struct openstack_held held;
};
/* Fills as much of the choice as there is; it is whole when no fault was added. */
void openstack_choose(const struct openstack_question *question, struct arena *arena,
                      struct fault_list *faults, struct openstack_choice *ret_choice);

/* Its parts, one a file. */
struct openstack_choosing {
    const struct openstack_question *question;
    struct arena *arena;
    struct fault_list *faults;
    struct openstack_choice *choice;
};
void openstack_choose_flavor(struct openstack_choosing *choosing);
void openstack_choose_cards(struct openstack_choosing *choosing);
void openstack_choose_volumes(struct openstack_choosing *choosing);
void openstack_choose_names(struct openstack_choosing *choosing);
void openstack_check_quotas(struct openstack_choosing *choosing);
/* By id, or by a name that only one has; NULL after a fault. `what` names it: "volume type". */
const struct openstack_named *openstack_name_find(struct openstack_choosing *choosing,
                                                  const struct openstack_names *names,
                                                  const char *name, const char *what,
                                                  const struct fault *missing);
uint64_t openstack_gib(uint64_t bytes); /* rounded up */

#endif
