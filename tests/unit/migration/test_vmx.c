/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migration/source/foreign.h"
#include "migration/source/vmx.h"
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

static struct vmx *parse(const char *text)
{
    struct error err = {0};
    struct vmx *vmx = NULL;
    if (!vmx_parse(text, strlen(text), arena, &vmx, &err))
        fail_msg("%s", err.text);
    return vmx;
}

static const struct fault *parse_gives(const char *text, size_t length)
{
    struct error err = {0};
    struct vmx *vmx = NULL;
    return vmx_parse(text, length, arena, &vmx, &err) ? NULL : err.fault;
}

static void values_are_found_without_regard_to_case(void **state)
{
    struct vmx *vmx = parse("#!/usr/bin/vmware\r\n.encoding = \"UTF-8\"\r\n"
                            "displayName = \"web 1\"\r\nMemSize=\"512\"\r\n"
                            "scsi0:1.fileName = \"b.vmdk\" # a comment\n"
                            "empty = \"\"\nbare = 3\n");
    assert_string_equal(vmx_find(vmx, "displayname"), "web 1");
    assert_string_equal(vmx_find(vmx, "memsize"), "512");
    assert_string_equal(vmx_findf(vmx, "scsi%u:%u.FILENAME", 0u, 1u), "b.vmdk");
    assert_string_equal(vmx_find(vmx, "empty"), "");
    assert_string_equal(vmx_find(vmx, "bare"), "3");
    assert_null(vmx_find(vmx, "nothing"));
    assert_true(vmx_has_prefix(vmx, "SCSI0:"));
    assert_false(vmx_has_prefix(vmx, "sata"));
}

static void escapes_become_what_they_stand_for(void **state)
{
    struct vmx *vmx = parse("a = \"say |22hi|22|0Athen\"\nb = \"a|b|7Cc|zz|2\"\nc = \"x|00y\"\n");
    assert_string_equal(vmx_find(vmx, "a"), "say \"hi\"\nthen");
    assert_string_equal(vmx_find(vmx, "b"), "a|b|c|zz|2");
    assert_string_equal(vmx_find(vmx, "c"), "x|00y");
}

static void names_come_in_any_language(void **state)
{
    /* The same word for "server", in four character sets. */
    assert_string_equal(
        vmx_find(parse(".encoding = \"GBK\"\nn = \"\xb7\xfe\xce\xf1\xc6\xf7\"\n"), "n"), "服务器");
    assert_string_equal(
        vmx_find(parse(".encoding = \"Shift_JIS\"\nn = \"\x83\x54\x81\x5b\x83\x6f\"\n"), "n"),
        "サーバ");
    assert_string_equal(
        vmx_find(parse(".encoding = \"windows-1251\"\nn = \"\xd1\xe5\xf0\xe2\xe5\xf0\"\n"), "n"),
        "Сервер");
    assert_string_equal(vmx_find(parse(".encoding = \"windows-1252\"\nn = \"B\xfcro\"\n"), "n"),
                        "Büro");
    assert_string_equal(vmx_find(parse(".encoding = \"UTF-8\"\nn = \"خادم\"\n"), "n"), "خادم");
    assert_string_equal(vmx_find(parse("\xef\xbb\xbfn = \"x\"\n"), "n"), "x");
}

static void a_second_byte_that_looks_like_an_escape_is_none(void **state)
{
    /* U+30DD in Shift_JIS is 83 7C, and 7C is '|': decoded first, it cannot start an escape. */
    assert_string_equal(vmx_find(parse(".encoding = \"Shift_JIS\"\nn = \"\x83\x7c"
                                       "22\"\n"),
                                 "n"),
                        "ポ22");
}

static void a_file_without_character_set_is_guessed(void **state)
{
    assert_string_equal(vmx_find(parse("n = \"caf\xe9\"\n"), "n"), "café");
    assert_string_equal(vmx_find(parse("n = \"café\"\n"), "n"), "café");
}

static void rubbish_is_refused_with_a_code(void **state)
{
    static const char *const texts[] = {
        "",
        "# only a comment\n",
        "no assignment\n",
        "= \"no key\"\n",
        "a = \"not closed\n",
        "a = \"b\" c\n",
        ".encoding = \"UTF-8\"\na = \"\xff\"\n",
        ".encoding = \"../../etc/passwd\"\na = \"b\"\n",
        ".encoding = \"KLINGON\"\na = \"b\"\n",
        ".encoding = \"Shift_JIS\"\na = \"\x83\"\n",
        "a = \"1\"\nA = \"2\"\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_ptr_equal(parse_gives(texts[i], strlen(texts[i])), &FAULT_VM_CONFIG_INVALID);
    assert_ptr_equal(parse_gives("a\0b = \"c\"", 9), &FAULT_VM_CONFIG_INVALID);
}

static void the_same_value_twice_is_harmless(void **state)
{
    assert_string_equal(vmx_find(parse("a = \"1\"\nb = \"2\"\nA = \"1\"\n"), "a"), "1");
}

static void sizes_are_bounded(void **state)
{
    char *large = xcalloc(VMX_BYTES_MOST + 2, 1);
    memset(large, '\n', VMX_BYTES_MOST + 1);
    assert_ptr_equal(parse_gives(large, VMX_BYTES_MOST + 1), &FAULT_TOO_LARGE);
    assert_ptr_equal(parse_gives(large, VMX_BYTES_MOST), &FAULT_TOO_LARGE); /* too many lines */
    free(large);
    char long_key[400];
    memset(long_key, 'k', sizeof(long_key));
    memcpy(long_key + 390, " = \"1\"\n", 8);
    assert_ptr_equal(parse_gives(long_key, 397), &FAULT_VM_CONFIG_INVALID);
}

static void texts_are_cleaned(void **state)
{
    assert_string_equal(foreign_clean(arena, "  a\tb\r\n", 100), "a b");
    assert_string_equal(foreign_clean(arena,
                                      "ab\xff"
                                      "c",
                                      100),
                        "ab c");
    assert_string_equal(foreign_clean(arena, "aé", 2), "a");
    assert_null(foreign_clean(arena, " \n", 100));
    assert_null(foreign_clean(arena, NULL, 100));
}

static void numbers_and_addresses_are_strict(void **state)
{
    uint64_t number = 7;
    assert_true(foreign_unsigned(" 4096 ", &number));
    assert_int_equal(number, 4096);
    static const char *const wrong[] = {"", "-1", "1x", "0x10", "99999999999999999999", "1.5"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(foreign_unsigned(wrong[i], &number));
    assert_int_equal(number, 4096);
    assert_string_equal(foreign_mac(arena, "00:0C:29:AB-cd:ef"), "00:0c:29:ab:cd:ef");
    assert_null(foreign_mac(arena, "00:0c:29:ab:cd"));
    assert_null(foreign_mac(arena, "00:0c:29:ab:cd:eg"));
    assert_null(foreign_mac(arena, "01:00:5e:00:00:01"));
    assert_null(foreign_mac(arena, "00:00:00:00:00:00"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_found_without_regard_to_case),
        TEST(escapes_become_what_they_stand_for),
        TEST(names_come_in_any_language),
        TEST(a_second_byte_that_looks_like_an_escape_is_none),
        TEST(a_file_without_character_set_is_guessed),
        TEST(rubbish_is_refused_with_a_code),
        TEST(the_same_value_twice_is_harmless),
        TEST(sizes_are_bounded),
        TEST(texts_are_cleaned),
        TEST(numbers_and_addresses_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
