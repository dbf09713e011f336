/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/domain_xml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/utf8.h"

void domain_xml_escape(struct buffer *xml, const char *text)
{
    size_t left = text != NULL ? strlen(text) : 0;
    while (left > 0) {
        size_t step = utf8_character(text, left);
        static const char *const escapes[][2] = {
            {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&apos;"}};
        const char *escape = NULL;
        for (size_t i = 0; i < COUNT_OF(escapes); i++)
            escape = text[0] == escapes[i][0][0] ? escapes[i][1] : escape;
        bool control =
            step == 1 && (unsigned char)text[0] < ' ' && text[0] != '\n' && text[0] != '\t';
        bool noncharacter =
            step == 3 && memcmp(text, "\xef\xbf", 2) == 0 && (unsigned char)text[2] >= 0xbe;
        if (escape != NULL)
            buffer_append_text(xml, escape);
        else if (step > 0 && !control && !noncharacter)
            buffer_append(xml, text, step);
        step = step > 0 ? step : 1;
        text += step;
        left -= step;
    }
}

/* "<name>text</name>" on a line of its own. */
static void element(struct buffer *xml, const char *indent, const char *name, const char *text)
{
    buffer_printf(xml, "%s<%s>", indent, name);
    domain_xml_escape(xml, text);
    buffer_printf(xml, "</%s>\n", name);
}

const char *domain_machine(const struct vm *vm, bool virtio_disks)
{
    if (vm->firmware == VM_FIRMWARE_EFI)
        return "q35";
    for (size_t i = 0; !virtio_disks && i < vm->disk_count; i++) {
        if (vm->disks[i].bus != NULL && strcmp(vm->disks[i].bus, "ide") == 0)
            return "pc";
    }
    return "q35";
}

const char *domain_disk_bus(const struct vm *vm, size_t index, bool virtio_disks)
{
    const char *bus = vm->disks[index].bus;
    if (virtio_disks || bus == NULL)
        return "virtio";
    if (strcmp(bus, "scsi") == 0 || strcmp(bus, "virtio") == 0)
        return strcmp(bus, "scsi") == 0 ? "scsi" : "virtio";
    if (strcmp(bus, "ide") == 0 && strcmp(domain_machine(vm, false), "pc") == 0)
        return "ide";
    return "sata"; /* also for nvme, which libvirt cannot emulate on a file */
}

const char *domain_scsi_model(const struct vm_disk *disk)
{
    static const char *const models[][2] = {
        {"lsilogic", "lsilogic"}, {"buslogic", "lsilogic"},       {"lsisas1068", "lsisas1068"},
        {"pvscsi", "vmpvscsi"},   {"virtio-scsi", "virtio-scsi"},
    };
    for (size_t i = 0; disk->controller != NULL && i < COUNT_OF(models); i++) {
        if (strcasecmp(disk->controller, models[i][0]) == 0)
            return models[i][1];
    }
    return "virtio-scsi";
}

const char *domain_nic_model(const struct vm_nic *nic, bool virtio_nics)
{
    static const char *const models[][2] = {
        {"e1000", "e1000"},   {"e1000e", "e1000e"},  {"vmxnet3", "vmxnet3"}, {"vlance", "pcnet"},
        {"pcnet32", "pcnet"}, {"pcnet", "pcnet"},    {"rtl8139", "rtl8139"}, {"virtio", "virtio"},
        {"vmxnet", "pcnet"},  {"flexible", "pcnet"},
    };
    if (virtio_nics)
        return "virtio";
    for (size_t i = 0; nic->model != NULL && i < COUNT_OF(models); i++) {
        if (strcasecmp(nic->model, models[i][0]) == 0)
            return models[i][1];
    }
    return "e1000";
}

static void write_head(const struct domain_plan *plan, struct buffer *xml)
{
    const struct vm *vm = plan->vm;
    struct uuid uuid;
    buffer_append_text(xml, "<domain type='kvm'>\n");
    element(xml, "  ", "name", plan->name);
    if (vm->uuid != NULL && uuid_parse(vm->uuid, &uuid) && !uuid_is_nil(&uuid))
        element(xml, "  ", "uuid", UUID_TEXT(&uuid));
    buffer_printf(xml,
                  "  <metadata>\n    <guts:migration xmlns:guts='urn:guts:migration'>"
                  "guts_migration=%s</guts:migration>\n  </metadata>\n",
                  UUID_TEXT(plan->migration));
    if (vm->annotation != NULL)
        element(xml, "  ", "description", vm->annotation);
    buffer_printf(xml, "  <memory unit='MiB'>%llu</memory>\n",
                  (unsigned long long)(vm->memory_mib > 0 ? vm->memory_mib : 512));
    buffer_printf(xml, "  <vcpu>%u</vcpu>\n", vm->cpus > 0 ? vm->cpus : 1);
}

static void write_os(const struct domain_plan *plan, struct buffer *xml)
{
    const struct vm *vm = plan->vm;
    bool efi = vm->firmware == VM_FIRMWARE_EFI;
    buffer_printf(xml, "  <os%s>\n", efi ? " firmware='efi'" : "");
    buffer_printf(xml, "    <type arch='x86_64' machine='%s'>hvm</type>\n",
                  domain_machine(vm, plan->virtio_disks));
    if (efi)
        buffer_printf(xml,
                      "    <firmware>\n      <feature enabled='%s' name='secure-boot'/>\n"
                      "    </firmware>\n",
                      vm->secure_boot ? "yes" : "no");
    buffer_append_text(xml, "    <boot dev='hd'/>\n  </os>\n");
    buffer_printf(xml, "  <features>\n    <acpi/>\n    <apic/>\n%s  </features>\n",
                  efi && vm->secure_boot ? "    <smm state='on'/>\n" : "");
    buffer_append_text(xml, "  <cpu mode='host-model'>\n");
    if (vm->cores_per_socket > 1 && vm->cpus % vm->cores_per_socket == 0)
        buffer_printf(xml, "    <topology sockets='%u' cores='%u' threads='1'/>\n",
                      vm->cpus / vm->cores_per_socket, vm->cores_per_socket);
    buffer_append_text(xml, "  </cpu>\n  <clock offset='utc'/>\n");
}

/* vda … vdz, vdaa …: the name only has to be unique and to fit the bus. */
static void disk_name(const char *prefix, size_t index, char ret_name[8])
{
    if (index < 26)
        snprintf(ret_name, 8, "%s%c", prefix, (char)('a' + index));
    else
        snprintf(ret_name, 8, "%s%c%c", prefix, (char)('a' + index / 26 - 1),
                 (char)('a' + index % 26));
}

static const char *name_prefix(const char *bus)
{
    if (strcmp(bus, "virtio") == 0)
        return "vd";
    return strcmp(bus, "ide") == 0 ? "hd" : "sd";
}

/* One counter for each prefix: sata and scsi share "sd". */
static size_t count_before(const struct domain_plan *plan, size_t index)
{
    const char *prefix = name_prefix(domain_disk_bus(plan->vm, index, plan->virtio_disks));
    size_t count = 0;
    for (size_t i = 0; i < index; i++)
        count += strcmp(prefix, name_prefix(domain_disk_bus(plan->vm, i, plan->virtio_disks))) == 0;
    return count;
}

static void write_disk(const struct domain_plan *plan, size_t index, struct buffer *xml)
{
    const struct vm_disk *disk = &plan->vm->disks[index];
    const char *bus = domain_disk_bus(plan->vm, index, plan->virtio_disks);
    char name[8];
    disk_name(name_prefix(bus), count_before(plan, index), name);
    buffer_printf(xml,
                  "    <disk type='file' device='disk'>\n"
                  "      <driver name='qemu' type='%s' discard='unmap'/>\n      <source file='",
                  plan->disk_format);
    domain_xml_escape(xml, plan->disk_paths[index]);
    buffer_printf(xml, "'/>\n      <target dev='%s' bus='%s'/>\n", name, bus);
    if (strcmp(bus, "scsi") == 0) {
        /* libvirt numbers this one's disks by unit, those of all others by target. */
        bool by_unit = strcmp(domain_scsi_model(disk), "lsilogic") == 0;
        buffer_printf(
            xml, "      <address type='drive' controller='%u' bus='0' target='%u' unit='%u'/>\n",
            disk->controller_index, by_unit ? 0 : disk->unit, by_unit ? disk->unit : 0);
    }
    buffer_append_text(xml, "    </disk>\n");
}

static void write_scsi_controllers(const struct domain_plan *plan, struct buffer *xml)
{
    bool written[64] = {false};
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        const struct vm_disk *disk = &plan->vm->disks[i];
        if (strcmp(domain_disk_bus(plan->vm, i, plan->virtio_disks), "scsi") != 0 ||
            disk->controller_index >= COUNT_OF(written) || written[disk->controller_index])
            continue;
        written[disk->controller_index] = true;
        buffer_printf(xml, "    <controller type='scsi' index='%u' model='%s'/>\n",
                      disk->controller_index, domain_scsi_model(disk));
    }
}

static void write_nic(const struct domain_plan *plan, const struct vm_nic *nic, struct buffer *xml)
{
    bool bridged = plan->bridge != NULL && plan->bridge[0] != '\0';
    buffer_printf(xml, "    <interface type='%s'>\n", bridged ? "bridge" : "network");
    if (nic->mac != NULL) {
        buffer_append_text(xml, "      <mac address='");
        domain_xml_escape(xml, nic->mac);
        buffer_append_text(xml, "'/>\n");
    }
    buffer_printf(xml, "      <source %s='", bridged ? "bridge" : "network");
    domain_xml_escape(xml, bridged ? plan->bridge : plan->network);
    buffer_printf(xml, "'/>\n      <model type='%s'/>\n", domain_nic_model(nic, plan->virtio_nics));
    if (!nic->connected)
        buffer_append_text(xml, "      <link state='down'/>\n");
    buffer_append_text(xml, "    </interface>\n");
}

void domain_xml_write(const struct domain_plan *plan, struct buffer *ret_xml)
{
    write_head(plan, ret_xml);
    write_os(plan, ret_xml);
    buffer_append_text(ret_xml, "  <devices>\n");
    for (size_t i = 0; i < plan->vm->disk_count; i++)
        write_disk(plan, i, ret_xml);
    write_scsi_controllers(plan, ret_xml);
    for (size_t i = 0; i < plan->vm->nic_count; i++)
        write_nic(plan, &plan->vm->nics[i], ret_xml);
    buffer_append_text(ret_xml, "    <serial type='pty'/>\n    <console type='pty'/>\n"
                                "    <graphics type='vnc' autoport='yes' listen='127.0.0.1'/>\n"
                                "    <video>\n      <model type='vga'/>\n    </video>\n"
                                "    <memballoon model='virtio'/>\n    <rng model='virtio'>\n"
                                "      <backend model='random'>/dev/urandom</backend>\n    </rng>\n"
                                "  </devices>\n</domain>\n");
}
