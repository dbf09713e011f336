/* SPDX-License-Identifier: Apache-2.0
 *
 * The volumes that the disks become, and those that are added empty.
 */
#include <string.h>

#include "migration/destination/openstack_choice.h"
#include "proto/fault.h"

static const char *choose_type(struct openstack_choosing *choosing, const char *name)
{
    if (name == NULL)
        return NULL;
    const struct openstack_named *type =
        openstack_name_find(choosing, &choosing->question->facts->volume_types, name, "volume type",
                            &FAULT_VOLUME_TYPE_NOT_FOUND);
    return type != NULL ? type->name : NULL;
}

static void check_disks(struct openstack_choosing *choosing)
{
    const struct vm *vm = choosing->question->vm;
    if (vm->disk_count == 0)
        fault_list_add(choosing->faults, &FAULT_VM_CONFIG_INVALID, "the machine has no disk");
    for (size_t i = 0; i < vm->disk_count; i++) {
        uint64_t bytes = vm->disks[i].capacity_bytes;
        if (bytes == 0 || bytes % 512 != 0)
            fault_list_add(choosing->faults, &FAULT_DISK_UNSUPPORTED,
                           "disk %zu has %llu bytes, which is no number of sectors", i,
                           (unsigned long long)bytes);
    }
}

static void choose_disk_types(struct openstack_choosing *choosing, const char *standard)
{
    const struct openstack_options *options = choosing->question->options;
    struct openstack_choice *choice = choosing->choice;
    for (size_t i = 0; i < choice->volume_count; i++)
        choice->volumes[i].type = standard;
    for (size_t i = 0; i < options->disk_type_count; i++) {
        const struct openstack_disk_type *rule = &options->disk_types[i];
        const char *type = choose_type(choosing, rule->volume_type);
        if (rule->disk < choice->volume_count)
            choice->volumes[rule->disk].type = type;
        else
            fault_list_add(choosing->faults, &FAULT_FIELDS_INVALID,
                           "\"volume_types\" names disk %zu, and there are %zu", rule->disk,
                           choice->volume_count);
    }
}

static void check_volumes_possible(struct openstack_choosing *choosing)
{
    const struct openstack_options *options = choosing->question->options;
    size_t disks = choosing->question->vm->disk_count;
    if (!choosing->question->facts->has_volumes &&
        (options->boot_from_volume || disks > 1 || options->extra_volume_count > 0))
        fault_list_add(choosing->faults, &FAULT_SERVICE_MISSING,
                       "volumes are needed, and this cloud has no Cinder");
}

void openstack_choose_volumes(struct openstack_choosing *choosing)
{
    const struct openstack_options *options = choosing->question->options;
    const struct vm *vm = choosing->question->vm;
    struct openstack_choice *choice = choosing->choice;
    check_disks(choosing);
    check_volumes_possible(choosing);
    choice->volume_count = vm->disk_count;
    choice->volumes = arena_calloc(choosing->arena, vm->disk_count + 1, sizeof(*choice->volumes));
    for (size_t i = 0; i < vm->disk_count; i++)
        choice->volumes[i].gib = openstack_gib(vm->disks[i].capacity_bytes);
    const char *standard =
        choosing->question->facts->has_volumes ? choose_type(choosing, options->volume_type) : NULL;
    if (choosing->question->facts->has_volumes)
        choose_disk_types(choosing, standard);
    choice->extra_volume_count = options->extra_volume_count;
    choice->extra_volumes = arena_calloc(choosing->arena, options->extra_volume_count + 1,
                                         sizeof(*choice->extra_volumes));
    for (size_t i = 0; i < options->extra_volume_count; i++) {
        const struct openstack_extra_volume *extra = &options->extra_volumes[i];
        const char *type =
            extra->volume_type != NULL ? choose_type(choosing, extra->volume_type) : standard;
        choice->extra_volumes[i] = (struct openstack_choice_volume){extra->gib, type};
    }
}
