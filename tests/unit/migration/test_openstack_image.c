/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks on their way into Glance: begun anew after a refusal, compared with what arrived.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake_work.h"
#include "migration/destination/openstack_inner.h"
#include "migration/disk/memory.h"
#include "mini_glance.h"
#include "proto/fault.h"
#include "tests/unit/check.h"

#define SIZE (8u << 20)

static struct openstack *self;
static struct work *work;
static struct disk *from;
static struct copy_digests *digests;
static struct vm_disk vm_disk = {.key = "d", .capacity_bytes = SIZE};
static struct vm vm = {.key = "v", .name = "one", .disks = &vm_disk, .disk_count = 1};
static struct destination_plan plan = {.vm = &vm, .server_name = "one"};

static int begin(void **state)
{
    mini_glance_begin();
    work =
        fake_work_new(&(struct fake_work){.directory = "/tmp", .owner = uuid_new(), .attempt = 1});
    plan.work = work;
    self = xcalloc(1, sizeof(*self));
    self->work = work;
    self->link = mini_link(work);
    self->session = self->link->session;
    self->decided = true;
    self->choice.image_format = "qcow2";
    self->options.verify_content = true;
    self->options.disk_bus = self->options.nic_model = "virtio";
    self->options.os_type = "auto";
    from = disk_pattern_new(&(struct disk_pattern_plan){
        .size_bytes = SIZE, .seed = 7, .block_bytes = 1u << 20, .data_of_hundred = 60});
    digests = copy_digests_new(SIZE);
    return 0;
}

static int end(void **state)
{
    openstack_upload_drop(&self->uploads[0]);
    copy_digests_free(digests);
    disk_closep(&from);
    free(self);
    fake_work_free(work);
    mini_glance_end();
    return 0;
}

static bool keep(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(digests, &chunks[i]);
    return true;
}

/* As the copy step of a job. */
static bool send_disk(json_t *evidence, struct error *err)
{
    struct copy_control control = {0};
    struct destination_disk to = {.from = from};
    if (!openstack_disk_begin(&self->destination, &plan, 0, SIZE, &to, err))
        return false;
    struct copy_plan copy = {.from = from,
                             .to = to.disk,
                             .to_is_zero = to.reads_as_zero,
                             .control = &control,
                             .flushed = keep};
    if (!copy_run(&copy, err)) {
        disk_close(to.disk);
        return false;
    }
    return disk_finish(to.disk, err) &&
           openstack_disk_end(&self->destination, &plan, 0, digests, &control, evidence, err);
}

static const char *told(const json_t *evidence, const char *name)
{
    const char *text = json_string_value(json_object_get(evidence, name));
    return text != NULL ? text : "";
}

static void check_arrives(void)
{
    struct error err = {0};
    json_t *evidence = json_object();
    if (!send_disk(evidence, &err))
        fail_msg("%s", err.text);
    assert_string_equal(told(evidence, "sha512"), told(evidence, "os_hash_value"));
    assert_true(strncmp(told(evidence, "content"), "xxh3-128-tree:", 14) == 0);
    assert_string_equal(told(evidence, "format"), "qcow2");
    assert_string_equal(mini_image_find(told(evidence, "image"))->format, "qcow2");
    json_decref(evidence);
}

static void check_fails(const struct fault *fault)
{
    struct error err = {0};
    json_t *evidence = json_object();
    assert_false(send_disk(evidence, &err));
    json_decref(evidence);
    if (err.fault != fault)
        fail_msg("%s: %s", err.fault->code, err.text);
}

static void what_arrived_is_compared_by_digest_and_by_content(void **state)
{
    check_arrives();
    assert_int_equal(glance.uploads, 1);
}

static void it_is_compared_in_a_store_without_ranges_too(void **state)
{
    glance.ranges = false;
    check_arrives();
    glance.damages = true;
    check_fails(&FAULT_DIGEST_MISMATCH);
}

static void an_upload_whose_token_is_refused_may_begin_anew_under_another_id(void **state)
{
    struct error why = {.fault = &FAULT_IO};
    glance.refused = 1;
    check_fails(&FAULT_IO);
    assert_true(openstack_disk_again(&self->destination, 0, &why));
    check_arrives();
    assert_int_equal(glance.uploads, 1);
    assert_int_equal(glance.tokens, 2);
    assert_int_equal(glance.image_count, 2);
    assert_true(glance.images[0].deleted && !glance.images[1].deleted);
    const struct ledger_entry *entry = work_ledger_get(work, 0);
    assert_int_equal(entry->state, LEDGER_UNDONE);
    assert_string_equal(openstack_image_entry(self, 0)->external_id, glance.images[1].id);
}

static void what_broke_otherwise_may_not(void **state)
{
    struct error why = {.fault = &FAULT_DIGEST_MISMATCH};
    glance.damages = true;
    check_fails(&FAULT_DIGEST_MISMATCH);
    assert_false(openstack_disk_again(&self->destination, 0, &why));
}

static void names_of_long_servers_are_cut_to_what_a_cloud_takes(void **state)
{
    char name[256];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const struct destination_plan longest = {.work = work, .vm = &vm, .server_name = name};
    const char *made = openstack_name(self, &longest, "disk12");
    assert_int_equal(strlen(made), 255);
    assert_string_equal(made + 248, "-disk12");
    assert_string_equal(openstack_name(self, &plan, "nic0"), "one-nic0");
}

static void a_damaged_image_does_not_pass(void **state)
{
    glance.damages = true;
    check_fails(&FAULT_DIGEST_MISMATCH);
}

static void where_glance_digests_otherwise_its_bytes_are_read_whatever_the_options_say(void **state)
{
    self->options.verify_content = false;
    glance.hash = "d41d8cd98f00b204e9800998ecf8427e";
    glance.damages = true;
    check_fails(&FAULT_DIGEST_MISMATCH);
}

static void without_the_reading_the_digest_alone_is_told(void **state)
{
    struct error err = {0};
    json_t *evidence = json_object();
    self->options.verify_content = false;
    assert_true(send_disk(evidence, &err));
    assert_int_equal(glance.downloads, 0);
    assert_null(json_object_get(evidence, "content"));
    assert_string_equal(told(evidence, "sha512"), told(evidence, "os_hash_value"));
    json_decref(evidence);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(what_arrived_is_compared_by_digest_and_by_content),
        EACH(it_is_compared_in_a_store_without_ranges_too),
        EACH(an_upload_whose_token_is_refused_may_begin_anew_under_another_id),
        EACH(what_broke_otherwise_may_not),
        EACH(names_of_long_servers_are_cut_to_what_a_cloud_takes),
        EACH(a_damaged_image_does_not_pass),
        EACH(where_glance_digests_otherwise_its_bytes_are_read_whatever_the_options_say),
        EACH(without_the_reading_the_digest_alone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
