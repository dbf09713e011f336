/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libxml/parser.h>

#include "migration/cage.h"
#include "migration/destination/domain_xml.h"

static struct vm_disk disks[] = {
    {.key = "a", .bus = "scsi", .controller = "lsilogic", .unit = 0},
    {.key = "b", .bus = "scsi", .controller = "lsilogic", .unit = 3},
    {.key = "c", .bus = "sata", .controller = "ahci", .unit = 1},
    {.key = "d", .bus = "nvme", .controller = "nvme"},
};
static struct vm_nic nics[] = {
    {.mac = "00:0c:29:aa:bb:cc", .model = "vmxnet3", .network = "nat", .connected = true},
    {.mac = "00:0c:29:aa:bb:cd", .model = "e1000", .network = "nat", .connected = false},
    {.mac = NULL, .model = NULL, .network = NULL, .connected = true},
};
static const char *const paths[] = {"/srv/a&b'<\">/disk0.qcow2", "/srv/1", "/srv/2", "/srv/3"};
static struct uuid migration;

static struct vm make_vm(void)
{
    return (struct vm){.key = "k",
                       .name = "n",
                       .uuid = "564d1122-3344-5566-7788-99aabbccddee",
                       .firmware = VM_FIRMWARE_BIOS,
                       .cpus = 4,
                       .cores_per_socket = 2,
                       .memory_mib = 1024,
                       .annotation = "<![CDATA[ & \x01 ]]> Büro",
                       .disks = disks,
                       .disk_count = 4,
                       .nics = nics,
                       .nic_count = 3};
}

static struct domain_plan make_plan(const struct vm *vm)
{
    return (struct domain_plan){.vm = vm,
                                .name = "web & <служба> \"1\"",
                                .migration = &migration,
                                .disk_paths = paths,
                                .disk_format = "qcow2",
                                .virtio_disks = true,
                                .virtio_nics = true,
                                .network = "default"};
}

/* The text, checked to be well-formed. */
static char *write_xml(const struct domain_plan *plan)
{
    struct buffer xml = {0};
    domain_xml_write(plan, &xml);
    xmlDoc *document = xmlReadMemory(xml.data, (int)xml.length, NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    xmlFreeDoc(document);
    return xml.data;
}

static void assert_has(const char *xml, const char *text)
{
    if (strstr(xml, text) == NULL)
        fail_msg("no '%s' in\n%s", text, xml);
}

/* libvirt's own judgement, where its tools are installed. */
static void assert_defines(const char *xml)
{
    char path[] = "/tmp/guts-domain-XXXXXX";
    struct error err = {0};
    int fd = mkstemp(path);
    assert_true(write(fd, xml, strlen(xml)) == (ssize_t)strlen(xml));
    close(fd);
    if (cage_has_tool("virt-xml-validate")) {
        const char *argv[] = {"virt-xml-validate", path, "domain", NULL};
        struct cage_run run = {.plan = {.argv = argv}, .timeout_ms = 60000};
        if (!cage_run(&run, &err))
            fail_msg("%s\n%s", err.text, xml);
    }
    if (cage_has_tool("virsh")) {
        /* The test driver knows domains of its own type only. */
        const char *argv[] = {
            "sh",
            "-c",
            "sed \"s/type='kvm'/type='test'/\" \"$1\" > \"$1.t\" && "
            "virsh -q -c test:///default define \"$1.t\"; s=$?; rm -f \"$1.t\"; exit $s",
            "sh",
            path,
            NULL};
        struct cage_run run = {.plan = {.argv = argv}, .timeout_ms = 60000};
        if (!cage_run(&run, &err))
            fail_msg("%s\n%s", err.text, xml);
    }
    unlink(path);
}

static void names_and_values_are_escaped(void **state)
{
    struct vm vm = make_vm();
    struct domain_plan plan = make_plan(&vm);
    char *xml = write_xml(&plan), mark[80];
    assert_has(xml, "<name>web &amp; &lt;служба&gt; &quot;1&quot;</name>");
    assert_has(xml, "<source file='/srv/a&amp;b&apos;&lt;&quot;&gt;/disk0.qcow2'/>");
    assert_has(xml, "&lt;![CDATA[ &amp;  ]]&gt; Büro");
    snprintf(mark, sizeof(mark), "guts_migration=%s<", UUID_TEXT(&migration));
    assert_has(xml, mark);
    assert_defines(xml);
    free(xml);
}

static void a_bios_machine_on_virtio(void **state)
{
    struct vm vm = make_vm();
    struct domain_plan plan = make_plan(&vm);
    char *xml = write_xml(&plan);
    assert_has(xml, "machine='q35'");
    assert_has(xml, "<target dev='vda' bus='virtio'/>");
    assert_has(xml, "<target dev='vdd' bus='virtio'/>");
    assert_has(xml, "<mac address='00:0c:29:aa:bb:cc'/>");
    assert_has(xml, "<topology sockets='2' cores='2' threads='1'/>");
    assert_has(xml, "<vcpu>4</vcpu>");
    assert_has(xml, "<memory unit='MiB'>1024</memory>");
    assert_has(xml, "<link state='down'/>");
    assert_null(strstr(xml, "firmware="));
    assert_null(strstr(xml, "e1000"));
    free(xml);
}

static void a_uefi_machine_on_the_buses_of_its_source(void **state)
{
    struct vm vm = make_vm();
    vm.firmware = VM_FIRMWARE_EFI;
    vm.secure_boot = true;
    struct domain_plan plan = make_plan(&vm);
    plan.virtio_disks = plan.virtio_nics = false;
    plan.bridge = "br0";
    char *xml = write_xml(&plan);
    assert_has(xml, "<os firmware='efi'>");
    assert_has(xml, "<feature enabled='yes' name='secure-boot'/>");
    assert_has(xml, "<target dev='sda' bus='scsi'/>");
    assert_has(xml, "<target dev='sdc' bus='sata'/>");
    assert_has(xml, "<target dev='sdd' bus='sata'/>"); /* nvme */
    assert_has(xml, "<controller type='scsi' index='0' model='lsilogic'/>");
    assert_has(xml, "<model type='vmxnet3'/>");
    assert_has(xml, "<source bridge='br0'/>");
    assert_defines(xml);
    free(xml);
}

static void an_ide_machine_gets_the_old_board(void **state)
{
    struct vm vm = make_vm();
    struct vm_disk ide = {.key = "a", .bus = "ide"};
    vm.disks = &ide;
    vm.disk_count = 1;
    struct domain_plan plan = make_plan(&vm);
    plan.virtio_disks = false;
    char *xml = write_xml(&plan);
    assert_has(xml, "machine='pc'");
    assert_has(xml, "<target dev='hda' bus='ide'/>");
    assert_defines(xml);
    free(xml);
    vm.firmware = VM_FIRMWARE_EFI;
    assert_string_equal(domain_disk_bus(&vm, 0, false), "sata");
}

static void many_disks_have_different_names(void **state)
{
    struct vm vm = make_vm();
    struct vm_disk many[VM_DISKS_MOST];
    const char *many_paths[VM_DISKS_MOST];
    for (size_t i = 0; i < VM_DISKS_MOST; i++) {
        many[i] = (struct vm_disk){.key = "x", .bus = "scsi"};
        many_paths[i] = "/srv/x";
    }
    vm.disks = many;
    vm.disk_count = 28;
    struct domain_plan plan = make_plan(&vm);
    plan.disk_paths = many_paths;
    char *xml = write_xml(&plan);
    assert_has(xml, "'vdz'");
    assert_has(xml, "'vdab'");
    free(xml);
}

int main(void)
{
    migration = uuid_new();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_escaped),
        cmocka_unit_test(a_bios_machine_on_virtio),
        cmocka_unit_test(a_uefi_machine_on_the_buses_of_its_source),
        cmocka_unit_test(an_ide_machine_gets_the_old_board),
        cmocka_unit_test(many_disks_have_different_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
