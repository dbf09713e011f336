/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/seals.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"

static char directory[] = "/tmp/guts-test-seals-XXXXXX", public_path[64], private_path[64];
static struct seal_public *sealer;
static struct seal_private *opener;
static struct uuid owner;

static int set_up(void **state)
{
    struct error err;
    char id[SEAL_KEY_ID_SIZE];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(public_path, sizeof(public_path), "%s/public", directory);
    snprintf(private_path, sizeof(private_path), "%s/private", directory);
    owner = uuid_new();
    bool fine = seal_keygen(public_path, private_path, id, &err) &&
                seal_public_load(public_path, &sealer, &err) &&
                seal_private_load(private_path, &opener, &err);
    return fine ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    seal_public_free(sealer);
    seal_private_free(opener);
    unlink(public_path);
    unlink(private_path);
    return rmdir(directory);
}

static void add(struct buffer *seals, const char *name, const char *object)
{
    struct error err;
    struct seals_item item;
    CLEANUP(buffer_fini) struct buffer seal = {0};
    CLEANUP(secret_freep) struct secret *secret = secret_new(object, strlen(object));
    assert_true(seal_close(sealer, &owner, "a", secret, item.key_id, &seal, &err));
    snprintf(item.name, sizeof(item.name), "%s", name);
    item.seal = seal.data;
    item.length = seal.length;
    seals_add(seals, &item);
}

static void several_are_opened_as_one_object(void **state)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer seals = {0};
    CLEANUP(secret_freep) struct secret *opened = NULL;
    (void)state;
    add(&seals, "user", "{\"user\":\"u\"}");
    add(&seals, "none", "{}");
    add(&seals, "password", "{\"password\":\"p\"}");
    assert_true(seals_open(opener, seals.data, seals.length, &owner, "a", &opened, &err));
    assert_string_equal(secret_reveal(opened), "{\"user\":\"u\",\"password\":\"p\"}");
}

static void one_is_kept_without_being_opened(void **state)
{
    struct error err;
    struct seals_item item;
    size_t position = 0;
    CLEANUP(buffer_fini) struct buffer seals = {0}, kept = {0};
    CLEANUP(secret_freep) struct secret *opened = NULL;
    (void)state;
    add(&seals, "user", "{\"user\":\"u\"}");
    add(&seals, "password", "{\"password\":\"p\"}");
    while (seals_next(seals.data, seals.length, &position, &item))
        if (strcmp(item.name, "password") == 0)
            seals_add(&kept, &item);
    assert_int_equal(position, seals.length);
    assert_true(seals_open(opener, kept.data, kept.length, &owner, "a", &opened, &err));
    assert_string_equal(secret_reveal(opened), "{\"password\":\"p\"}");
}

/* Cut anywhere, or with anything behind it, it opens to nothing. */
static void what_is_damaged_is_refused(void **state)
{
    struct error err;
    struct secret *opened = NULL;
    CLEANUP(buffer_fini) struct buffer seals = {0};
    (void)state;
    add(&seals, "user", "{\"user\":\"u\"}");
    for (size_t length = 1; length < seals.length; length++) {
        assert_false(seals_open(opener, seals.data, length, &owner, "a", &opened, &err));
        assert_ptr_equal(err.fault, &FAULT_DENIED);
    }
    buffer_append(&seals, "x", 1);
    assert_false(seals_open(opener, seals.data, seals.length, &owner, "a", &opened, &err));
    CLEANUP(buffer_fini) struct buffer text = {0};
    add(&text, "user", "no object");
    assert_false(seals_open(opener, text.data, text.length, &owner, "a", &opened, &err));
    assert_null(strstr(err.text, "no object\""));
}

static void they_open_for_their_owner_and_address_only(void **state)
{
    struct error err;
    struct secret *opened = NULL;
    struct uuid other = uuid_new();
    CLEANUP(buffer_fini) struct buffer seals = {0};
    (void)state;
    add(&seals, "user", "{\"user\":\"u\"}");
    assert_false(seals_open(opener, seals.data, seals.length, &other, "a", &opened, &err));
    assert_false(seals_open(opener, seals.data, seals.length, &owner, "b", &opened, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_are_opened_as_one_object),
        cmocka_unit_test(one_is_kept_without_being_opened),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(they_open_for_their_owner_and_address_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
