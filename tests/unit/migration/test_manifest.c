/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "migration/source/manifest.h"
#include "proto/fault.h"

#define SHA1_ABC "a9993e364706816aba3e25717850c26c9cd0d89d"
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

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

static const struct fault *parse(const char *text, struct manifest *ret_manifest)
{
    struct error err = {0};
    return manifest_parse(text, strlen(text), arena, ret_manifest, &err) ? NULL : err.fault;
}

static void lines_of_any_tool_are_understood(void **state)
{
    struct manifest manifest;
    assert_null(parse("SHA1(a.ovf)= " SHA1_ABC "\r\nSHA256 (b (1).vmdk) = " SHA256_ABC
                      "\n\nsha256(c=d.vmdk)=" SHA256_ABC,
                      &manifest));
    assert_int_equal(manifest.count, 3);
    assert_string_equal(manifest_find(&manifest, "a.ovf")->algorithm, "SHA1");
    assert_non_null(manifest_find(&manifest, "b (1).vmdk"));
    assert_non_null(manifest_find(&manifest, "c=d.vmdk"));
    assert_null(manifest_find(&manifest, "e"));
}

static void texts_and_files_are_compared(void **state)
{
    struct manifest manifest;
    struct error err = {0};
    assert_null(parse("SHA1(a)= " SHA1_ABC "\nSHA256(b)= " SHA256_ABC "\n", &manifest));
    assert_true(manifest_verify_text(&manifest.lines[0], "abc", 3, &err));
    assert_true(manifest_verify_text(&manifest.lines[1], "abc", 3, &err));
    assert_false(manifest_verify_text(&manifest.lines[1], "abd", 3, &err));
    assert_ptr_equal(err.fault, &FAULT_MANIFEST_MISMATCH);
    char path[] = "/tmp/guts-manifest-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "xxabcxx", 7), 7);
    struct manifest_check check = {.fd = fd, .offset_bytes = 2, .length_bytes = 3};
    assert_true(manifest_verify(&manifest.lines[0], &check, &err));
    check.length_bytes = 4;
    assert_false(manifest_verify(&manifest.lines[0], &check, &err));
    assert_ptr_equal(err.fault, &FAULT_MANIFEST_MISMATCH);
    check.length_bytes = 400;
    assert_false(manifest_verify(&manifest.lines[0], &check, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    close(fd);
    unlink(path);
}

static void rubbish_is_refused(void **state)
{
    static const char *const texts[] = {
        "rubbish\n",
        "MD5(a)= 900150983cd24fb0d6963f7d28e17f72\n",
        "SHA1(a)= " SHA256_ABC "\n",
        "SHA1(a)= zz993e364706816aba3e25717850c26c9cd0d89d\n",
        "SHA1()= " SHA1_ABC "\n",
        "SHA1 a)= " SHA1_ABC "\n",
        "SHA1(a)= " SHA1_ABC "\nSHA1(a)= " SHA1_ABC "\n",
        "=)(",
        ")=(",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct manifest manifest;
        assert_ptr_equal(parse(texts[i], &manifest), &FAULT_MANIFEST_MISMATCH);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_of_any_tool_are_understood),
        TEST(texts_and_files_are_compared),
        TEST(rubbish_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
