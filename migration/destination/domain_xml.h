/* SPDX-License-Identifier: Apache-2.0
 *
 * A libvirt domain XML (libvirt.org/formatdomain.html) that `virsh define` takes, for a machine whose
 * disks lie in files. Knows nothing of how they came there.
 *
 * Threads: any.
 */
#ifndef GUTS_MIGRATION_DESTINATION_DOMAIN_XML_H
#define GUTS_MIGRATION_DESTINATION_DOMAIN_XML_H

#include "common/base/memory.h"
#include "common/base/uuid.h"
#include "proto/vm.h"

struct domain_plan {
    const struct vm *vm;
    const char *name;
    const struct uuid *migration;  /* for the mark guts_migration=<id> */
    const char *const *disk_paths; /* absolute, one for each disk of the vm */
    const char *disk_format;       /* "qcow2", "raw" */
    bool virtio_disks;             /* else the bus of the source, as far as QEMU has it */
    bool virtio_nics;
    const char *network; /* a libvirt network; used when bridge is NULL */
    const char *bridge;
};
void domain_xml_write(const struct domain_plan *plan, struct buffer *ret_xml);

/* "q35", or "pc" for BIOS machines with disks on ide. */
const char *domain_machine(const struct vm *vm, bool virtio_disks);
/* "virtio", "ide", "sata", "scsi": where disk `index` hangs in the new machine. */
const char *domain_disk_bus(const struct vm *vm, size_t index, bool virtio_disks);
/* libvirt's word for a SCSI controller that QEMU has, the nearest to the source's. */
const char *domain_scsi_model(const struct vm_disk *disk);
/* "virtio", "e1000", "e1000e", "rtl8139", "pcnet", "vmxnet3". */
const char *domain_nic_model(const struct vm_nic *nic, bool virtio_nics);
/* Text for XML: the five characters escaped, what XML 1.0 forbids left out. */
void domain_xml_escape(struct buffer *xml, const char *text);

#endif
