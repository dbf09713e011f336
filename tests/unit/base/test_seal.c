/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/secret.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"

static char directory[] = "/tmp/guts-test-seal-XXXXXX";
static char public_path[128];
static char private_path[128];
static char secret_path[128];

struct keys {
    struct seal_public *public;
    struct seal_private *private;
};

static void keys_load(struct keys *keys)
{
    struct error err;
    assert_true(seal_public_load(public_path, &keys->public, &err));
    assert_true(seal_private_load(private_path, &keys->private, &err));
}

static void keys_free(struct keys *keys)
{
    seal_public_free(keys->public);
    seal_private_free(keys->private);
}

static void a_seal_opens_for_its_owner_and_address_only(void **state)
{
    struct error err;
    char key_id[SEAL_KEY_ID_SIZE];
    struct keys keys;
    struct uuid owner = uuid_new();
    struct uuid other = uuid_new();
    CLEANUP(buffer_fini) struct buffer seal = {0};
    CLEANUP(secret_freep) struct secret *secret = secret_new("hunter2", 7);
    CLEANUP(secret_freep) struct secret *opened = NULL;
    keys_load(&keys);
    assert_true(seal_close(keys.public, &owner, "https://a/", secret, key_id, &seal, &err));
    assert_null(memmem(seal.data, seal.length, "hunter2", 7));
    assert_false(seal_open(keys.private, key_id, seal.data, seal.length, &other, "https://a/",
                           &opened, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_false(seal_open(keys.private, key_id, seal.data, seal.length, &owner, "https://b/",
                           &opened, &err));
    assert_false(seal_open(keys.private, key_id, seal.data, seal.length, &owner, "https://a/h",
                           &opened, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_null(strstr(err.text, "hunter2"));
    assert_true(seal_open(keys.private, key_id, seal.data, seal.length, &owner, "https://a/",
                          &opened, &err));
    assert_string_equal(secret_reveal(opened), "hunter2");
    assert_int_equal(secret_length(opened), 7);
    keys_free(&keys);
}

static void a_damaged_or_absurd_seal_is_denied(void **state)
{
    struct error err;
    char key_id[SEAL_KEY_ID_SIZE];
    struct keys keys;
    struct uuid owner = uuid_new();
    CLEANUP(buffer_fini) struct buffer seal = {0};
    CLEANUP(secret_freep) struct secret *secret = secret_new("", 0);
    struct secret *opened = NULL;
    keys_load(&keys);
    assert_true(seal_close(keys.public, &owner, "a", secret, key_id, &seal, &err));
    for (size_t length = 0; length < seal.length; length++)
        assert_false(
            seal_open(keys.private, key_id, seal.data, length, &owner, "a", &opened, &err));
    seal.data[seal.length - 1] ^= 1;
    assert_false(
        seal_open(keys.private, key_id, seal.data, seal.length, &owner, "a", &opened, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_false(
        seal_open(keys.private, "nokey", seal.data, seal.length, &owner, "a", &opened, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    keys_free(&keys);
}

static void a_rotated_key_seals_and_the_old_one_still_opens(void **state)
{
    struct error err;
    char old_id[SEAL_KEY_ID_SIZE];
    char new_id[SEAL_KEY_ID_SIZE];
    char used_id[SEAL_KEY_ID_SIZE];
    struct keys keys;
    struct uuid owner = uuid_new();
    CLEANUP(buffer_fini) struct buffer seal = {0};
    CLEANUP(buffer_fini) struct buffer second = {0};
    CLEANUP(secret_freep) struct secret *secret = secret_new("x", 1);
    CLEANUP(secret_freep) struct secret *opened = NULL;
    keys_load(&keys);
    assert_true(seal_close(keys.public, &owner, "a", secret, old_id, &seal, &err));
    keys_free(&keys);
    assert_true(seal_keygen(public_path, private_path, new_id, &err));
    assert_string_not_equal(old_id, new_id);
    keys_load(&keys);
    assert_true(seal_close(keys.public, &owner, "a", secret, used_id, &second, &err));
    assert_string_equal(used_id, new_id);
    assert_true(
        seal_open(keys.private, old_id, seal.data, seal.length, &owner, "a", &opened, &err));
    keys_free(&keys);
}

static void more_than_eight_keys_are_refused(void **state)
{
    struct error err;
    char key_id[SEAL_KEY_ID_SIZE];
    unsigned made = 0;
    while (made < 20 && seal_keygen(public_path, private_path, key_id, &err))
        made++;
    assert_in_range(made, 1, 8);
    assert_ptr_equal(err.fault, &FAULT_CONFLICT);
    struct keys keys;
    keys_load(&keys);
    keys_free(&keys);
}

static void key_files_have_strict_modes(void **state)
{
    struct error err;
    struct stat status;
    struct seal_private *key = NULL;
    assert_int_equal(stat(public_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(stat(private_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(chmod(private_path, 0640), 0);
    assert_false(seal_private_load(private_path, &key, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_int_equal(chmod(private_path, 0600), 0);
}

static void rubbish_in_a_key_file_is_refused_without_being_shown(void **state)
{
    static const char *const cases[] = {
        "",
        "\n",
        "id",
        "id ",
        "id !!!!",
        "id c2hvcnQ=",
        "# only a comment\n",
        "a-key-id-that-is-too-long AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\na "
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = {0};
        struct seal_private *key = NULL;
        assert_true(file_replace(secret_path, 0600, cases[i], strlen(cases[i]), &err));
        assert_false(seal_private_load(secret_path, &key, &err));
        assert_ptr_equal(err.fault, &FAULT_CONFIG);
        assert_null(strstr(err.text, "AAAA"));
        assert_null(key);
    }
}

static void a_secret_is_read_without_its_newline(void **state)
{
    struct error err;
    CLEANUP(secret_freep) struct secret *secret = NULL;
    assert_true(file_replace(secret_path, 0640, "pass word\n", 10, &err));
    assert_true(secret_load(secret_path, &secret, &err));
    assert_string_equal(secret_reveal(secret), "pass word");
}

static void a_secret_that_others_may_read_is_refused(void **state)
{
    struct error err;
    struct secret *secret = NULL;
    assert_true(file_replace(secret_path, 0644, "pass", 4, &err));
    assert_false(secret_load(secret_path, &secret, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_int_equal(truncate(secret_path, 65537), 0);
    assert_int_equal(chmod(secret_path, 0600), 0);
    assert_false(secret_load(secret_path, &secret, &err));
    assert_int_equal(truncate(secret_path, 65536), 0);
    assert_true(secret_load(secret_path, &secret, &err));
    assert_int_equal(secret_length(secret), 65536);
    secret_free(secret);
}

static int make_place(void **state)
{
    struct error err;
    char key_id[SEAL_KEY_ID_SIZE];
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(public_path, sizeof(public_path), "%s/public", directory);
    snprintf(private_path, sizeof(private_path), "%s/private", directory);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
    return !seal_keygen(public_path, private_path, key_id, &err);
}

static int remove_place(void **state)
{
    struct error err;
    return !file_remove_tree(directory, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seal_opens_for_its_owner_and_address_only),
        cmocka_unit_test(a_damaged_or_absurd_seal_is_denied),
        cmocka_unit_test(a_rotated_key_seals_and_the_old_one_still_opens),
        cmocka_unit_test(key_files_have_strict_modes),
        cmocka_unit_test(more_than_eight_keys_are_refused),
        cmocka_unit_test(rubbish_in_a_key_file_is_refused_without_being_shown),
        cmocka_unit_test(a_secret_is_read_without_its_newline),
        cmocka_unit_test(a_secret_that_others_may_read_is_refused),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
