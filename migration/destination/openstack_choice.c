/* SPDX-License-Identifier: Apache-2.0
 *
 * All but cards and volumes: the flavor, what goes by a name, the server's own name, quotas.
 */
#include "migration/destination/openstack_choice.h"

#include <string.h>

#include "common/base/utf8.h"
#include "proto/fault.h"

uint64_t openstack_gib(uint64_t bytes)
{
    return (bytes >> 30) + ((bytes & ((1u << 30) - 1)) != 0);
}

/* -- flavor ------------------------------------------------------------------------------------------- */

struct wish {
    uint64_t cpus, ram_mib, disk_gib; /* disk 0: the root does not lie on the flavor's disk */
};

static struct wish wish_of(const struct openstack_choosing *choosing)
{
    const struct openstack_options *options = choosing->question->options;
    const struct vm *vm = choosing->question->vm;
    return (struct wish){
        .cpus = options->cpus != 0 ? options->cpus : vm->cpus,
        .ram_mib = options->ram_mib != 0 ? options->ram_mib : vm->memory_mib,
        .disk_gib = options->boot_from_volume || vm->disk_count == 0
                        ? 0
                        : openstack_gib(vm->disks[0].capacity_bytes),
    };
}

static bool disk_fits(const struct openstack_flavor *flavor, const struct wish *wish)
{
    return flavor->disk_gib >= wish->disk_gib;
}

static bool fits(const struct openstack_flavor *flavor, const struct wish *wish)
{
    return flavor->cpus >= wish->cpus && flavor->ram_mib >= wish->ram_mib &&
           disk_fits(flavor, wish);
}

static bool is_smaller(const struct openstack_flavor *a, const struct openstack_flavor *b)
{
    if (a->ram_mib != b->ram_mib)
        return a->ram_mib < b->ram_mib;
    if (a->cpus != b->cpus)
        return a->cpus < b->cpus;
    if (a->disk_gib + a->ephemeral_gib != b->disk_gib + b->ephemeral_gib)
        return a->disk_gib + a->ephemeral_gib < b->disk_gib + b->ephemeral_gib;
    return strcmp(a->id, b->id) < 0;
}

static const struct openstack_flavor *smallest(const struct openstack_facts *facts,
                                               const struct wish *wish)
{
    const struct openstack_flavor *best = NULL;
    for (size_t i = 0; i < facts->flavor_count; i++) {
        const struct openstack_flavor *flavor = &facts->flavors[i];
        if (flavor->disabled || flavor->special || !fits(flavor, wish))
            continue;
        if (best == NULL || is_smaller(flavor, best))
            best = flavor;
    }
    return best;
}

static const struct openstack_flavor *flavor_named(struct openstack_choosing *choosing,
                                                   const char *name)
{
    const struct openstack_facts *facts = choosing->question->facts;
    const struct openstack_flavor *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < facts->flavor_count; i++) {
        const struct openstack_flavor *flavor = &facts->flavors[i];
        if (strcmp(flavor->id, name) == 0)
            return flavor;
        if (strcmp(flavor->name, name) == 0 && count++ == 0)
            found = flavor;
    }
    if (count == 0)
        fault_list_add(choosing->faults, &FAULT_FLAVOR_NOT_FOUND, "there is no flavor \"%.100s\"",
                       name);
    if (count > 1)
        fault_list_add(choosing->faults, &FAULT_NAME_AMBIGUOUS,
                       "%zu flavors are called \"%.100s\": use the id", count, name);
    return count == 1 ? found : NULL;
}

/* A named flavor may have fewer processors and less memory than the vm has: somebody chose it. Less than
 * the options ask for, or than the disk needs, is a fault. */
static void check_named(struct openstack_choosing *choosing, const struct openstack_flavor *flavor,
                        const struct wish *wish)
{
    const struct openstack_options *options = choosing->question->options;
    if (flavor->disabled)
        fault_list_add(choosing->faults, &FAULT_FLAVOR_NOT_FOUND, "flavor \"%s\" is disabled",
                       flavor->name);
    if (!disk_fits(flavor, wish))
        fault_list_add(choosing->faults, &FAULT_FLAVOR_TOO_SMALL,
                       "flavor \"%s\" has a disk of %llu GiB, the first disk needs %llu",
                       flavor->name, (unsigned long long)flavor->disk_gib,
                       (unsigned long long)wish->disk_gib);
    if (flavor->cpus < options->cpus)
        fault_list_add(choosing->faults, &FAULT_FLAVOR_TOO_SMALL,
                       "flavor \"%s\" has %llu processors, %llu are asked for", flavor->name,
                       (unsigned long long)flavor->cpus, (unsigned long long)options->cpus);
    if (flavor->ram_mib < options->ram_mib)
        fault_list_add(choosing->faults, &FAULT_FLAVOR_TOO_SMALL,
                       "flavor \"%s\" has %llu MiB of memory, %llu are asked for", flavor->name,
                       (unsigned long long)flavor->ram_mib, (unsigned long long)options->ram_mib);
}

void openstack_choose_flavor(struct openstack_choosing *choosing)
{
    const struct openstack_question *question = choosing->question;
    struct wish wish = wish_of(choosing);
    if (question->options->flavor != NULL) {
        choosing->choice->flavor = flavor_named(choosing, question->options->flavor);
        if (choosing->choice->flavor != NULL)
            check_named(choosing, choosing->choice->flavor, &wish);
        return;
    }
    choosing->choice->flavor = smallest(question->facts, &wish);
    if (choosing->choice->flavor == NULL)
        fault_list_add(choosing->faults, &FAULT_FLAVOR_TOO_SMALL,
                       "no flavor has %llu processors, %llu MiB of memory and a disk of %llu GiB",
                       (unsigned long long)wish.cpus, (unsigned long long)wish.ram_mib,
                       (unsigned long long)wish.disk_gib);
}

/* -- what goes by a name -------------------------------------------------------------------------------- */

const struct openstack_named *openstack_name_find(struct openstack_choosing *choosing,
                                                  const struct openstack_names *names,
                                                  const char *name, const char *what,
                                                  const struct fault *missing)
{
    const struct openstack_named *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].id, name) == 0)
            return &names->items[i];
        if (strcmp(names->items[i].name, name) == 0 && count++ == 0)
            found = &names->items[i];
    }
    if (count == 0)
        fault_list_add(choosing->faults, missing, "there is no %s \"%.100s\"", what, name);
    if (count > 1)
        fault_list_add(choosing->faults, &FAULT_NAME_AMBIGUOUS,
                       "%zu of kind %s are called \"%.100s\": use the id", count, what, name);
    return count == 1 ? found : NULL;
}

static const char *choose_zone(struct openstack_choosing *choosing,
                               const struct openstack_names *zones, const char *name,
                               const char *what)
{
    if (name == NULL)
        return NULL;
    const struct openstack_named *zone =
        openstack_name_find(choosing, zones, name, what, &FAULT_ZONE_NOT_FOUND);
    if (zone != NULL && !zone->available)
        fault_list_add(choosing->faults, &FAULT_ZONE_NOT_FOUND, "%s \"%s\" is not available", what,
                       zone->name);
    return zone != NULL ? zone->name : NULL;
}

static void choose_groups(struct openstack_choosing *choosing)
{
    const struct openstack_options *options = choosing->question->options;
    struct openstack_choice *choice = choosing->choice;
    choice->security_group_ids =
        arena_calloc(choosing->arena, options->security_group_count + 1, sizeof(char *));
    for (size_t i = 0; i < options->security_group_count; i++) {
        const struct openstack_named *group = openstack_name_find(
            choosing, &choosing->question->facts->security_groups, options->security_groups[i],
            "security group", &FAULT_SECURITY_GROUP_NOT_FOUND);
        if (group != NULL)
            choice->security_group_ids[choice->security_group_count++] = group->id;
    }
}

static bool is_accepted(const struct openstack_facts *facts, const char *format)
{
    for (size_t i = 0; i < facts->image_format_count; i++)
        if (strcmp(facts->image_formats[i], format) == 0)
            return true;
    return facts->image_format_count == 0;
}

static void choose_format(struct openstack_choosing *choosing)
{
    const struct openstack_facts *facts = choosing->question->facts;
    enum openstack_image_format wanted = choosing->question->options->image_format;
    bool qcow2 = is_accepted(facts, "qcow2"), raw = is_accepted(facts, "raw");
    choosing->choice->image_format =
        wanted == OPENSTACK_IMAGE_RAW || (wanted == OPENSTACK_IMAGE_AUTO && !qcow2) ? "raw"
                                                                                    : "qcow2";
    if (strcmp(choosing->choice->image_format, "raw") == 0 ? !raw : !qcow2)
        fault_list_add(choosing->faults, &FAULT_IMAGE_FORMAT_REFUSED,
                       "Glance accepts no image of format \"%s\"", choosing->choice->image_format);
}

/* As Nova's own check of names says it (nova.api.validation.parameter_types.name): characters of the
 * first plane that can be shown, and no space at either end. */
static bool name_is_sound(const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0, count = 0;
    if (length == 0 || name[0] == ' ' || name[length - 1] == ' ')
        return false;
    for (size_t at = 0, size; at < length; at += size, count++) {
        size = utf8_character(name + at, length - at);
        unsigned char first = (unsigned char)name[at];
        if (size == 0 || size > 3 || first < 0x20 || first == 0x7f)
            return false;
    }
    return count <= 255;
}

void openstack_choose_names(struct openstack_choosing *choosing)
{
    const struct openstack_question *question = choosing->question;
    const struct openstack_options *options = question->options;
    struct openstack_choice *choice = choosing->choice;
    if (!name_is_sound(question->server_name))
        fault_list_add(choosing->faults, &FAULT_SERVER_NAME_INVALID,
                       "Nova accepts no server of the name \"%.100s\"",
                       question->server_name != NULL ? question->server_name : "");
    choice->availability_zone = choose_zone(choosing, &question->facts->zones,
                                            options->availability_zone, "availability zone");
    if (question->facts->has_volumes)
        choice->volume_zone = choose_zone(choosing, &question->facts->volume_zones,
                                          options->volume_zone, "volume zone");
    if (options->keypair != NULL) {
        const struct openstack_named *pair =
            openstack_name_find(choosing, &question->facts->keypairs, options->keypair, "keypair",
                                &FAULT_KEYPAIR_NOT_FOUND);
        choice->keypair = pair != NULL ? pair->name : NULL;
    }
    choose_groups(choosing);
    choose_format(choosing);
}

/* -- quotas ------------------------------------------------------------------------------------------- */

static void check_quota(struct openstack_choosing *choosing, const char *name, uint64_t needed,
                        uint64_t held)
{
    const struct openstack_quota *quota = openstack_quota_find(choosing->question->facts, name);
    if (quota == NULL || quota->limit < 0 || needed <= held)
        return;
    uint64_t left = quota->limit > quota->used ? (uint64_t)(quota->limit - quota->used) : 0;
    if (needed - held > left)
        fault_list_add(choosing->faults, &FAULT_QUOTA_EXCEEDED,
                       "quota \"%s\": %llu more are needed, %llu of %lld are left", name,
                       (unsigned long long)(needed - held), (unsigned long long)left,
                       (long long)quota->limit);
}

/* What it will be of, as far as Cinder tells: a volume of no named type gets the default one. */
static const char *real_type(const struct openstack_choosing *choosing,
                             const struct openstack_choice_volume *volume)
{
    return volume->type != NULL ? volume->type : choosing->question->facts->default_volume_type;
}

static void add_volume(const struct openstack_choosing *choosing,
                       const struct openstack_choice_volume *volume, const char *type,
                       uint64_t *count, uint64_t *gib)
{
    const char *its = real_type(choosing, volume);
    if (type != NULL && (its == NULL || strcmp(its, type) != 0))
        return;
    ++*count;
    *gib += volume->gib;
}

/* Of one type, or of all (NULL). What a former attempt made is taken from both, by count. */
static void check_volume_quota(struct openstack_choosing *choosing, const char *type)
{
    const struct openstack_choice *choice = choosing->choice;
    size_t first = choosing->question->options->boot_from_volume ? 0 : 1;
    uint64_t count = 0, gib = 0, held = choosing->question->held.volumes;
    for (size_t i = first; i < choice->volume_count; i++)
        add_volume(choosing, &choice->volumes[i], type, &count, &gib);
    for (size_t i = 0; i < choice->extra_volume_count; i++)
        add_volume(choosing, &choice->extra_volumes[i], type, &count, &gib);
    const char *tail = type != NULL ? arena_printf(choosing->arena, "_%s", type) : "";
    check_quota(choosing, arena_printf(choosing->arena, "volumes%s", tail), count,
                type != NULL && held > 0 ? count : held);
    if (held == 0)
        check_quota(choosing, arena_printf(choosing->arena, "gigabytes%s", tail), gib, 0);
}

static void check_largest(struct openstack_choosing *choosing)
{
    const struct openstack_choice *choice = choosing->choice;
    size_t first = choosing->question->options->boot_from_volume ? 0 : 1;
    uint64_t most = 0;
    for (size_t i = first; i < choice->volume_count; i++)
        most = choice->volumes[i].gib > most ? choice->volumes[i].gib : most;
    for (size_t i = 0; i < choice->extra_volume_count; i++)
        most = choice->extra_volumes[i].gib > most ? choice->extra_volumes[i].gib : most;
    const struct openstack_quota *quota =
        openstack_quota_find(choosing->question->facts, "per_volume_gigabytes");
    if (quota != NULL && quota->limit >= 0 && most > (uint64_t)quota->limit)
        fault_list_add(choosing->faults, &FAULT_QUOTA_EXCEEDED,
                       "quota \"per_volume_gigabytes\": a volume needs %llu, %lld are allowed",
                       (unsigned long long)most, (long long)quota->limit);
}

/* Of those that are made: the disks' volumes, then the empty ones. NULL: none, or not known. */
static const char *type_of(const struct openstack_choosing *choosing, size_t index)
{
    const struct openstack_choice *choice = choosing->choice;
    bool boots = choosing->question->options->boot_from_volume;
    if (index == 0 && choice->volume_count > 0 && !boots)
        return NULL;
    return real_type(choosing, index < choice->volume_count
                                   ? &choice->volumes[index]
                                   : &choice->extra_volumes[index - choice->volume_count]);
}

static bool type_was_checked(const struct openstack_choosing *choosing, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        const char *type = type_of(choosing, i);
        if (type != NULL && strcmp(type, type_of(choosing, index)) == 0)
            return true;
    }
    return false;
}

void openstack_check_quotas(struct openstack_choosing *choosing)
{
    const struct openstack_choice *choice = choosing->choice;
    const struct openstack_held *held = &choosing->question->held;
    uint64_t metadata = choosing->question->options->metadata_count;
    check_quota(choosing, "instances", 1, held->servers);
    if (choice->flavor != NULL && held->servers == 0) {
        check_quota(choosing, "cores", choice->flavor->cpus, 0);
        check_quota(choosing, "ram_mib", choice->flavor->ram_mib, 0);
    }
    check_quota(choosing, "ports", choice->nic_count, held->ports);
    check_quota(choosing, "metadata", metadata + OPENSTACK_METADATA_OURS, 0);
    if (!choosing->question->facts->has_volumes)
        return;
    check_volume_quota(choosing, NULL);
    check_largest(choosing);
    for (size_t i = 0; i < choice->volume_count + choice->extra_volume_count; i++)
        if (type_of(choosing, i) != NULL && !type_was_checked(choosing, i))
            check_volume_quota(choosing, type_of(choosing, i));
}

void openstack_choose(const struct openstack_question *question, struct arena *arena,
                      struct fault_list *faults, struct openstack_choice *ret_choice)
{
    *ret_choice = (struct openstack_choice){0};
    struct openstack_choosing choosing = {question, arena, faults, ret_choice};
    openstack_choose_names(&choosing);
    openstack_choose_flavor(&choosing);
    openstack_choose_cards(&choosing);
    openstack_choose_volumes(&choosing);
    openstack_check_quotas(&choosing);
}
