/* SPDX-License-Identifier: Apache-2.0
 *
 * One well-formed machine for the tests of vm and codec.
 */
#ifndef GUTS_TESTS_UNIT_PROTO_SAMPLE_H
#define GUTS_TESTS_UNIT_PROTO_SAMPLE_H

#include "proto/vm.h"

static struct vm_disk sample_disks[] = {
    {.key = "a.vmdk",
     .bus = "scsi",
     .controller = "pvscsi",
     .unit = 1,
     .capacity_bytes = 1 << 20,
     .stored_bytes = 4096,
     .format = "vmdk"},
    {.key = "b.vmdk",
     .bus = "sata",
     .controller_index = 2,
     .capacity_bytes = 3 << 20,
     .format = "vmdk"},
};
static struct vm_nic sample_nics[] = {
    {.mac = "00:0c:29:01:02:03", .model = "e1000", .network = "bridged", .connected = true},
    {.network = "VM Network"},
};
static const struct vm sample_vm = {
    .key = "web/web.vmx",
    .name = "Büro-Server 東京",
    .uuid = "564d1234-0000-0000-0000-000000000001",
    .power = VM_POWER_OFF,
    .firmware = VM_FIRMWARE_EFI,
    .secure_boot = true,
    .cpus = 4,
    .cores_per_socket = 2,
    .memory_mib = 2048,
    .guest_os = "debian11-64",
    .host = "",
    .annotation = "line one\nline two",
    .disks = sample_disks,
    .disk_count = 2,
    .nics = sample_nics,
    .nic_count = 2,
};

#endif
