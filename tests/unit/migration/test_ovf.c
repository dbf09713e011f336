/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migration/source/ovf.h"
#include "proto/fault.h"

static struct arena *arena;

static int set_up(void **state)
{
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    arena_free(arena);
    return 0;
}

#define RASD "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
#define OPEN                                                                                       \
    "<?xml version='1.0' encoding='UTF-8'?>\n"                                                     \
    "<o:Envelope xmlns:o='http://schemas.dmtf.org/ovf/envelope/1' xmlns:r='" RASD "'"              \
    " xmlns:vmw='http://www.vmware.com/schema/ovf' "                                               \
    "xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'>"
#define FILES                                                                                      \
    "<o:References><o:File o:id='f1' o:href='a.vmdk'/><o:File o:id='f2' o:href='b.vmdk' "          \
    "o:compression='gzip'/><o:File o:id='f3' o:href='c.iso'/></o:References>"
#define DISKS                                                                                      \
    "<o:DiskSection><o:Disk o:diskId='d1' o:fileRef='f1' o:capacity='20' "                         \
    "o:capacityAllocationUnits='byte * 2^30' o:format='http://www.vmware.com/interfaces/"          \
    "specifications/vmdk.html#streamOptimized'/>"                                                  \
    "<o:Disk o:diskId='d2' o:fileRef='f2' o:capacity='1048576'/></o:DiskSection>"
#define ITEM(type, rest) "<o:Item>" rest "<r:ResourceType>" #type "</r:ResourceType></o:Item>"
#define CPU                                                                                        \
    ITEM(3, "<r:VirtualQuantity>2</r:VirtualQuantity><vmw:CoresPerSocket>2</vmw:CoresPerSocket>")
#define MEMORY                                                                                     \
    ITEM(4, "<r:AllocationUnits>byte * "                                                           \
            "2^20</r:AllocationUnits><r:VirtualQuantity>2048</r:VirtualQuantity>")
#define SCSI                                                                                       \
    ITEM(6, "<r:InstanceID>3</r:InstanceID><r:ResourceSubType>VirtualSCSI</r:ResourceSubType>")
#define SATA ITEM(20, "<r:InstanceID>4</r:InstanceID><r:ResourceSubType>AHCI</r:ResourceSubType>")
#define DISK(parent, unit, name)                                                                   \
    ITEM(17, "<r:AddressOnParent>" #unit "</r:AddressOnParent><r:HostResource>" name               \
             "</r:HostResource><r:Parent>" #parent "</r:Parent>")
#define NIC                                                                                        \
    ITEM(10, "<r:Connection>VM "                                                                   \
             "Network</r:Connection><r:ResourceSubType>VmxNet3</"                                  \
             "r:ResourceSubType><r:Address>00:50:56:AA:00:01</r:Address>")
#define SYSTEM(items)                                                                              \
    "<o:VirtualSystem o:id='vm1'><o:Name>Büro &amp; Co</o:Name>"                                  \
    "<o:AnnotationSection><o:Info/><o:Annotation>note</o:Annotation></o:AnnotationSection>"        \
    "<o:OperatingSystemSection o:id='96' "                                                         \
    "vmw:osType='debian10_64Guest'><o:Info/></o:OperatingSystemSection>"                           \
    "<o:VirtualHardwareSection>" items                                                             \
    "<vmw:Config o:required='false' vmw:key='firmware' vmw:value='efi'/>"                          \
    "</o:VirtualHardwareSection></o:VirtualSystem>"
#define CLOSE "</o:Envelope>"

static const struct fault *parse(const char *text, struct ovf **ret_ovf)
{
    struct error err = {0};
    if (ovf_parse(text, strlen(text), arena, ret_ovf, &err))
        return NULL;
    assert_true(err.text[0] != '\0');
    return err.fault;
}

static struct ovf *parse_well(const char *text)
{
    struct ovf *ovf = NULL;
    struct error err = {0};
    if (!ovf_parse(text, strlen(text), arena, &ovf, &err))
        fail_msg("%s", err.text);
    return ovf;
}

static void a_machine_is_read_whatever_its_prefixes(void **state)
{
    struct ovf *ovf = parse_well(OPEN FILES DISKS SYSTEM(
        DISK(3, 1, "ovf:/disk/d1") CPU MEMORY SCSI SATA DISK(4, 0, "/disk/d2") NIC) CLOSE);
    assert_int_equal(ovf->system_count, 1);
    const struct vm *vm = ovf->systems[0].vm;
    assert_string_equal(ovf->systems[0].id, "vm1");
    assert_string_equal(vm->name, "Büro & Co");
    assert_string_equal(vm->annotation, "note");
    assert_string_equal(vm->guest_os, "debian10_64Guest");
    assert_int_equal(vm->firmware, VM_FIRMWARE_EFI);
    assert_int_equal(vm->cpus, 2);
    assert_int_equal(vm->cores_per_socket, 2);
    assert_int_equal(vm->memory_mib, 2048);
    assert_int_equal(vm->disk_count, 2);
    assert_string_equal(vm->disks[0].bus, "sata"); /* looked at before SCSI */
    assert_string_equal(vm->disks[0].key, "b.vmdk");
    assert_int_equal(vm->disks[0].capacity_bytes, 1048576);
    assert_true(ovf->systems[0].disks[0].file->compressed);
    assert_string_equal(vm->disks[1].bus, "scsi");
    assert_string_equal(vm->disks[1].controller, "pvscsi");
    assert_int_equal(vm->disks[1].unit, 1);
    assert_string_equal(vm->disks[1].format, "vmdk");
    assert_true(vm->disks[1].capacity_bytes == 20ull << 30);
    assert_int_equal(vm->nic_count, 1);
    assert_string_equal(vm->nics[0].mac, "00:50:56:aa:00:01");
    assert_string_equal(vm->nics[0].model, "vmxnet3");
    assert_string_equal(vm->nics[0].network, "VM Network");
}

static void a_collection_gives_each_machine(void **state)
{
    struct ovf *ovf = parse_well(OPEN "<o:VirtualSystemCollection o:id='c'>" SYSTEM(CPU)
                                     SYSTEM(CPU) "</o:VirtualSystemCollection>" CLOSE);
    assert_int_equal(ovf->system_count, 2);
}

static void only_the_default_configuration_counts(void **state)
{
    struct ovf *ovf = parse_well(
        OPEN
        "<o:DeploymentOptionSection><o:Configuration o:id='small'/><o:Configuration o:id='big' "
        "o:default='true'/></o:DeploymentOptionSection>" SYSTEM(
            "<o:Item o:configuration='small'><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>1"
            "</r:VirtualQuantity></o:Item><o:Item o:configuration='big other'><r:ResourceType>3"
            "</r:ResourceType><r:VirtualQuantity>8</r:VirtualQuantity></o:Item>") CLOSE);
    assert_int_equal(ovf->systems[0].vm->cpus, 8);
}

static void units_multiply(void **state)
{
    uint64_t bytes = 0;
    assert_true(ovf_bytes(2, "byte * 2^30", 1, &bytes));
    assert_true(bytes == 2ull << 30);
    assert_true(ovf_bytes(3, "byte*10^6", 1, &bytes));
    assert_true(bytes == 3000000);
    assert_true(ovf_bytes(3, "GigaBytes", 1, &bytes));
    assert_true(bytes == 3ull << 30);
    assert_true(ovf_bytes(7, "byte * 512", 1, &bytes));
    assert_true(bytes == 3584);
    assert_true(ovf_bytes(7, NULL, 1 << 20, &bytes));
    assert_true(bytes == 7 << 20);
    assert_true(ovf_bytes(7, "byte", 1 << 20, &bytes));
    assert_true(bytes == 7);
    assert_false(ovf_bytes(7, "parsecs", 1, &bytes));
    assert_false(ovf_bytes(7, "byte * 2^64", 1, &bytes));
    assert_false(ovf_bytes(1ull << 40, "byte * 2^30", 1, &bytes));
    assert_false(ovf_bytes(1, "byte * 2^99999999999999999999", 1, &bytes));
}

static void bombs_and_document_types_are_refused(void **state)
{
    struct ovf *ovf = NULL;
    assert_ptr_equal(
        parse("<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b "
              "'&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>]><x>&c;</x>",
              &ovf),
        &FAULT_VM_CONFIG_INVALID);
    assert_ptr_equal(parse("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", &ovf),
                     &FAULT_VM_CONFIG_INVALID);
    assert_ptr_equal(
        parse("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", &ovf),
        &FAULT_VM_CONFIG_INVALID);
    struct buffer deep = {0};
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&deep, "<a>");
    assert_ptr_equal(parse(deep.data, &ovf), &FAULT_VM_CONFIG_INVALID);
    buffer_fini(&deep);
}

static void absurd_and_wrong_documents_have_a_code(void **state)
{
    static const struct {
        const char *text;
        const struct fault *fault;
    } cases[] = {
        {"", &FAULT_VM_CONFIG_INVALID},
        {"rubbish", &FAULT_VM_CONFIG_INVALID},
        {"<Envelope/>", &FAULT_VM_CONFIG_INVALID},
        {OPEN FILES CLOSE, &FAULT_VM_CONFIG_INVALID},
        {OPEN "<o:VirtualSystem o:id='x'/>" CLOSE, &FAULT_VM_CONFIG_INVALID},
        {OPEN "<o:References><o:File o:id='f'/></o:References>" SYSTEM(CPU) CLOSE,
         &FAULT_VM_CONFIG_INVALID},
        {OPEN "<o:DiskSection><o:Disk o:diskId='d' o:fileRef='none'/></o:DiskSection>" SYSTEM(CPU)
             CLOSE,
         &FAULT_VM_CONFIG_INVALID},
        {OPEN "<o:DiskSection><o:Disk o:diskId='d' o:capacity='-5'/></o:DiskSection>" SYSTEM(CPU)
             CLOSE,
         &FAULT_VM_CONFIG_INVALID},
        {OPEN "<o:DiskSection><o:Disk o:diskId='d' o:capacity='99999999999' "
              "o:capacityAllocationUnits='byte * 2^40'/></o:DiskSection>" SYSTEM(CPU) CLOSE,
         &FAULT_TOO_LARGE},
        {OPEN "<o:DiskSection><o:Disk o:diskId='d' o:capacity='99999999999999999999999999'/>"
              "</o:DiskSection>" SYSTEM(CPU) CLOSE,
         &FAULT_TOO_LARGE},
        {OPEN SYSTEM(ITEM(3, "<r:VirtualQuantity>many</r:VirtualQuantity>")) CLOSE,
         &FAULT_VM_CONFIG_INVALID},
        {OPEN SYSTEM(ITEM(3, "<r:VirtualQuantity>99999</r:VirtualQuantity>")) CLOSE,
         &FAULT_TOO_LARGE},
        {OPEN SYSTEM(ITEM(4, "<r:VirtualQuantity>99999999999999</r:VirtualQuantity>")) CLOSE,
         &FAULT_TOO_LARGE},
        {OPEN SYSTEM(DISK(3, 0, "ovf:/disk/none")) CLOSE, &FAULT_VM_CONFIG_INVALID},
        {OPEN SYSTEM("<o:Item/>") CLOSE, &FAULT_VM_CONFIG_INVALID},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ovf *ovf = NULL;
        if (parse(cases[i].text, &ovf) != cases[i].fault)
            fail_msg("case %zu", i);
        assert_null(ovf);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_is_read_whatever_its_prefixes), TEST(a_collection_gives_each_machine),
        TEST(only_the_default_configuration_counts),   TEST(units_multiply),
        TEST(bombs_and_document_types_are_refused),    TEST(absurd_and_wrong_documents_have_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
