/* SPDX-License-Identifier: Apache-2.0
 *
 * What a wait says of a migration that does not go on: once, and again when the reason has changed. */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/cli/progress.h"
#include "common/base/memory.h"

struct page {
    FILE *file;
    char *text;
    size_t size;
    struct progress *progress;
};

static int set_up(void **state)
{
    struct page *page = xcalloc(1, sizeof(*page));
    page->file = open_memstream(&page->text, &page->size);
    assert_non_null(page->file);
    page->progress = progress_new(page->file);
    *state = page;
    return 0;
}

static int tear_down(void **state)
{
    struct page *page = *state;
    progress_free(page->progress);
    fclose(page->file);
    free(page->text);
    free(page);
    return 0;
}

static void update(struct page *page, const char *json)
{
    json_t *migration = json_loads(json, 0, NULL);
    assert_non_null(migration);
    progress_update(page->progress, migration);
    json_decref(migration);
    fflush(page->file);
}

static size_t times_said(const struct page *page, const char *line)
{
    size_t count = 0;
    for (const char *at = page->text; (at = strstr(at, line)) != NULL; at += strlen(line))
        count++;
    return count;
}

#define PENDING(counts)                                                                            \
    "{\"id\": \"m1\", \"vm_name\": \"web\", \"state\": \"PENDING\","                               \
    " \"waiting\": {\"reasons\": {\"counts\": " counts "}}}"

static void it_says_why_no_node_takes_one_once_for_each_reason(void **state)
{
    struct page *page = *state;
    update(page, "{\"id\": \"m1\", \"vm_name\": \"web\", \"state\": \"PENDING\"}");
    assert_string_equal(page->text, "web: PENDING\n");
    update(page, PENDING("{\"space\": 2}"));
    update(page, PENDING("{\"space\": 2}"));
    assert_int_equal(times_said(page, "web: no node takes it yet: 2 space\n"), 1);
    update(page, PENDING("{\"space\": 1, \"node_disabled\": 1}"));
    assert_int_equal(times_said(page, "web: no node takes it yet: 1 space, 1 node_disabled\n"), 1);
    update(page, PENDING("{\"space\": 2}"));
    assert_int_equal(times_said(page, "web: no node takes it yet: 2 space\n"), 2);
}

static void a_reason_cannot_steer_the_terminal(void **state)
{
    struct page *page = *state;
    update(page, PENDING("{\"sp\\u001b[2Jace\": 1}"));
    assert_int_equal(times_said(page, "no node takes it yet"), 1);
    assert_null(strchr(page->text, '\033'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_why_no_node_takes_one_once_for_each_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reason_cannot_steer_the_terminal, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
