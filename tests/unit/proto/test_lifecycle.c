/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/lifecycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BIT(state) (1u << (state))

static bool drawn[MIGRATION_STATE_COUNT][MIGRATION_STATE_COUNT];

/* "A | B", "A" or "unfinished" to a set of states. */
static uint32_t group_parse(char *text)
{
    uint32_t states = 0;
    char *rest = NULL;

    for (char *word = strtok_r(text, " |", &rest); word; word = strtok_r(NULL, " |", &rest)) {
        if (strcmp(word, "unfinished") == 0) {
            for (unsigned i = 1; i < MIGRATION_STATE_COUNT; i++)
                if (lifecycle_is_unfinished((enum migration_state)i))
                    states |= BIT(i);
            continue;
        }
        assert_int_not_equal(migration_state_parse(word), MIGRATION_UNKNOWN);
        states |= BIT(migration_state_parse(word));
    }
    return states;
}

static void moves_draw(uint32_t from, uint32_t to)
{
    for (unsigned i = 0; i < MIGRATION_STATE_COUNT; i++)
        for (unsigned j = 0; j < MIGRATION_STATE_COUNT; j++)
            if ((from & BIT(i)) && (to & BIT(j)))
                drawn[i][j] = true;
}

static void line_draw(char *line)
{
    static const char forward[] = "─►", both[] = "⇄";
    uint32_t before = 0;
    bool back = false;

    line[strcspn(line, "(\n")] = 0;
    while (line) {
        char *f = strstr(line, forward), *b = strstr(line, both);
        char *arrow = f && (!b || f < b) ? f : b;
        char *next = arrow ? arrow + (arrow == f ? strlen(forward) : strlen(both)) : NULL;
        if (arrow)
            *arrow = 0;
        uint32_t states = group_parse(line);
        moves_draw(before, states);
        if (back)
            moves_draw(states, before);
        back = arrow && arrow == b;
        before = states;
        line = next;
    }
}

static int diagram_read(void **state)
{
    FILE *file = fopen(SOURCE_ROOT "/proto/README.md", "r");
    char line[512];
    bool inside = false;
    int lines = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "```", 3) == 0) {
            inside = strcmp(line, "```lifecycle\n") == 0;
        } else if (inside) {
            line_draw(line);
            lines++;
        }
    }
    fclose(file);
    return lines > 0 ? 0 : -1;
}

static void every_pair_of_states_is_as_the_diagram_draws_it(void **state)
{
    for (unsigned from = 0; from < MIGRATION_STATE_COUNT; from++)
        for (unsigned to = 0; to < MIGRATION_STATE_COUNT; to++)
            if (lifecycle_allows(from, to) != drawn[from][to])
                fail_msg("%s to %s: table %d, diagram %d", migration_state_name(from),
                         migration_state_name(to), lifecycle_allows(from, to), drawn[from][to]);
}

static void states_outside_the_list_are_refused(void **state)
{
    assert_false(lifecycle_allows(MIGRATION_UNKNOWN, MIGRATION_PENDING));
    assert_false(lifecycle_allows((enum migration_state)99, MIGRATION_PENDING));
    assert_false(lifecycle_allows(MIGRATION_PENDING, (enum migration_state)99));
    assert_false(lifecycle_is_open((enum migration_state) - 1));
    assert_string_equal(migration_state_name((enum migration_state)99), "UNKNOWN");
    assert_int_equal(migration_state_parse("pending"), MIGRATION_UNKNOWN);
    assert_int_equal(migration_state_parse("UNKNOWN"), MIGRATION_UNKNOWN);
    assert_int_equal(migration_state_parse(NULL), MIGRATION_UNKNOWN);
}

static void names_come_back_as_their_states(void **state)
{
    for (unsigned i = 1; i < MIGRATION_STATE_COUNT; i++)
        assert_int_equal(migration_state_parse(migration_state_name(i)), i);
}

static void every_state_but_the_final_ones_is_left(void **state)
{
    for (unsigned i = 1; i < MIGRATION_STATE_COUNT; i++) {
        bool left = false;
        for (unsigned j = 1; j < MIGRATION_STATE_COUNT; j++)
            left |= lifecycle_allows(i, j);
        assert_int_equal(left, !lifecycle_is_final(i));
        assert_int_equal(lifecycle_is_open(i), !lifecycle_is_final(i));
    }
}

static void failed_and_verified_rest_yet_stay_open(void **state)
{
    for (unsigned i = 1; i < MIGRATION_STATE_COUNT; i++) {
        bool asked = i == MIGRATION_FAILED || i == MIGRATION_VERIFIED;
        assert_int_equal(lifecycle_is_resting(i), asked || lifecycle_is_final(i));
        assert_true(!asked || lifecycle_is_open(i));
    }
}

static void verbs_are_accepted_where_they_make_sense(void **state)
{
    for (unsigned i = 0; i < MIGRATION_STATE_COUNT; i++) {
        assert_int_equal(lifecycle_accepts(i, VERB_CANCEL),
                         lifecycle_allows(i, MIGRATION_CANCELLING));
        assert_int_equal(lifecycle_accepts(i, VERB_RETRY), i == MIGRATION_FAILED);
        assert_int_equal(lifecycle_accepts(i, VERB_ROLLBACK),
                         lifecycle_allows(i, MIGRATION_ROLLING_BACK));
        assert_int_equal(lifecycle_accepts(i, VERB_CLEANUP),
                         i == MIGRATION_VERIFIED || i == MIGRATION_CLEANING);
        assert_int_equal(lifecycle_accepts(i, VERB_DELETE), lifecycle_is_final(i));
    }
    assert_string_equal(migration_verb_name(VERB_CLEANUP), "cleanup");
}

static void nothing_is_rolled_back_from_cleaning_on(void **state)
{
    assert_false(lifecycle_accepts(MIGRATION_CLEANING, VERB_ROLLBACK));
    assert_false(lifecycle_accepts(MIGRATION_CLEANED, VERB_ROLLBACK));
    assert_false(lifecycle_allows(MIGRATION_CLEANING, MIGRATION_ROLLING_BACK));
    assert_false(lifecycle_allows(MIGRATION_CLEANING, MIGRATION_FAILED));
}

static void every_path_is_made_of_legal_moves(void **state)
{
    static const enum migration_state ways[] = {MIGRATION_CONVERTING, MIGRATION_UPLOADING};

    for (unsigned w = 0; w < 2; w++)
        for (unsigned from = 0; from < MIGRATION_STATE_COUNT; from++)
            for (unsigned to = 0; to < MIGRATION_STATE_COUNT; to++) {
                enum migration_state path[MIGRATION_STATE_COUNT], at = from;
                size_t count = lifecycle_path(from, to, ways[w], path);
                for (size_t i = 0; i < count; i++) {
                    assert_true(lifecycle_allows(at, path[i]));
                    at = path[i];
                }
                assert_true(count == 0 || at == to);
            }
}

static void path_is(enum migration_state from, enum migration_state to, enum migration_state way,
                    const char *expected)
{
    enum migration_state path[MIGRATION_STATE_COUNT];
    char text[256] = "";
    size_t count = lifecycle_path(from, to, way, path);

    for (size_t i = 0; i < count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, migration_state_name(path[i]));
    }
    assert_string_equal(text, expected);
}

static void a_report_that_is_ahead_passes_each_state_between(void **state)
{
    path_is(MIGRATION_SCHEDULED, MIGRATION_VERIFIED, MIGRATION_CONVERTING,
            "DISCOVERED CONVERTING DEPLOYED VERIFIED");
    path_is(MIGRATION_DISCOVERED, MIGRATION_DEPLOYED, MIGRATION_UPLOADING, "UPLOADING DEPLOYED");
    path_is(MIGRATION_DISCOVERED, MIGRATION_UPLOADING, MIGRATION_CONVERTING,
            "CONVERTING UPLOADING");
    path_is(MIGRATION_UPLOADING, MIGRATION_VERIFIED, MIGRATION_CONVERTING, "DEPLOYED VERIFIED");
    path_is(MIGRATION_DISCOVERED, MIGRATION_DEPLOYED, MIGRATION_UNKNOWN, "CONVERTING DEPLOYED");
    path_is(MIGRATION_SCHEDULED, MIGRATION_WAITING, MIGRATION_UPLOADING,
            "DISCOVERED SYNCING WAITING");
    path_is(MIGRATION_SYNCING, MIGRATION_DEPLOYED, MIGRATION_UPLOADING,
            "WAITING UPLOADING DEPLOYED");
}

static void a_report_that_is_behind_moves_nothing(void **state)
{
    path_is(MIGRATION_DEPLOYED, MIGRATION_DISCOVERED, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_UPLOADING, MIGRATION_CONVERTING, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_DISCOVERED, MIGRATION_DISCOVERED, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_FAILED, MIGRATION_VERIFIED, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_CANCELLING, MIGRATION_DEPLOYED, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_VERIFIED, MIGRATION_CLEANED, MIGRATION_CONVERTING, "");
    path_is(MIGRATION_SCHEDULED, MIGRATION_UNKNOWN, MIGRATION_CONVERTING, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_states_is_as_the_diagram_draws_it),
        cmocka_unit_test(states_outside_the_list_are_refused),
        cmocka_unit_test(names_come_back_as_their_states),
        cmocka_unit_test(every_state_but_the_final_ones_is_left),
        cmocka_unit_test(failed_and_verified_rest_yet_stay_open),
        cmocka_unit_test(verbs_are_accepted_where_they_make_sense),
        cmocka_unit_test(nothing_is_rolled_back_from_cleaning_on),
        cmocka_unit_test(every_path_is_made_of_legal_moves),
        cmocka_unit_test(a_report_that_is_ahead_passes_each_state_between),
        cmocka_unit_test(a_report_that_is_behind_moves_nothing),
    };

    return cmocka_run_group_tests(tests, diagram_read, NULL);
}
