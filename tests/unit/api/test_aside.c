/* SPDX-License-Identifier: Apache-2.0 */
#include "api/aside.h"

#include <pthread.h>

#include "tests/unit/check.h"

static const struct db_settings nowhere = {0}; /* no address: no connection is tried */

struct work {
    pthread_barrier_t begun, may_end;
    pthread_t thread;
    struct store *store;
};

static void work_until_told(void *context, struct store *store)
{
    struct work *work = context;
    work->thread = pthread_self();
    work->store = store;
    pthread_barrier_wait(&work->begun);
    pthread_barrier_wait(&work->may_end);
}

static void count(void *context, struct store *store)
{
    assert_non_null(store);
    ++*(int *)context;
}

static void a_verb_runs_in_another_thread_with_a_store_of_its_own(void **state)
{
    struct work work;
    struct aside *aside = aside_new(&nowhere);
    (void)state;
    pthread_barrier_init(&work.begun, NULL, 2);
    pthread_barrier_init(&work.may_end, NULL, 2);
    assert_true(aside_begin(aside, work_until_told, &work));
    pthread_barrier_wait(&work.begun);
    assert_false(aside_begin(aside, count, NULL)); /* one is served at a time */
    assert_false(pthread_equal(work.thread, pthread_self()));
    assert_non_null(work.store);
    pthread_barrier_wait(&work.may_end);
    aside_end(aside);
    aside_free(aside);
    pthread_barrier_destroy(&work.begun);
    pthread_barrier_destroy(&work.may_end);
}

static void one_after_the_other_is_served(void **state)
{
    int served = 0;
    struct aside *aside = aside_new(&nowhere);
    (void)state;
    for (int i = 1; i <= 100; i++) {
        assert_true(aside_begin(aside, count, &served));
        aside_end(aside);
        assert_int_equal(served, i);
    }
    aside_free(aside);
}

static void it_ends_though_nobody_ever_asked(void **state)
{
    (void)state;
    aside_free(aside_new(&nowhere));
    aside_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verb_runs_in_another_thread_with_a_store_of_its_own),
        cmocka_unit_test(one_after_the_other_is_served),
        cmocka_unit_test(it_ends_though_nobody_ever_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
