/* SPDX-License-Identifier: Apache-2.0
 *
 * A server as Nova, Cinder, Glance and Neutron show it, as a vm: a root disk on the hypervisor's own
 * storage where it was booted from an image, then its volumes in the order of their devices.
 *
 * Threads: pure functions; answers of a cloud are input from outside.
 */
#ifndef GUTS_MIGRATION_SOURCE_OPENSTACK_VM_H
#define GUTS_MIGRATION_SOURCE_OPENSTACK_VM_H

#include <jansson.h>

#include "proto/vm.h"

#define OPENSTACK_ROOT_KEY                                                                         \
    "root" /* the disk that is no volume; all others go by their volume's id */

struct openstack_parts {
    const json_t *server;     /* of Nova, microversion 2.47 or later */
    const json_t *volumes;    /* those that are attached, as Cinder shows them: an array */
    const json_t *image;      /* that the server was booted from; NULL: none, or it is gone */
    const json_t *interfaces; /* of Nova, in any order; NULL: the server's addresses are used */
    const json_t *networks;   /* names by id: an object; NULL with no interfaces */
};
/* Never fails: what stands in the way is the vm's obstacle. */
struct vm *openstack_vm(const struct openstack_parts *parts, struct arena *arena);
bool openstack_vm_has_root(const json_t *server); /* booted from an image */
/* Which volumes are attached, and how: the same text in whatever order Nova lists them. */
const char *openstack_vm_attached(const json_t *server, struct arena *arena);

#endif
