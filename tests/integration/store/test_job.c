/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as the scheduler writes them.
 */
#include "common/store/job.h"

#include "tests/integration/store/world.h"

static struct job_fact new_job(const struct uuid *owner)
{
    return (struct job_fact){
        .id = uuid_new(),
        .kind = JOB_MIGRATE,
        .owner_kind = OWNER_MIGRATION,
        .owner_id = *owner,
        .project = "red",
        .state = JOB_WAITING,
        .live = true,
        .wanted = WANTED_GO,
        .created_at = 1,
    };
}

static bool save(const struct job_fact *first, const struct job_fact *second)
{
    const struct job_fact *rows[] = {first, second};
    return job_save(store_db(world.store), rows, second == NULL ? 1 : 2, &world.err);
}

static void a_job_is_inserted_and_then_changed(void **state)
{
    struct uuid owner = uuid_new();
    struct job_fact job = new_job(&owner);
    OK(save(&job, NULL));
    job.state = JOB_ASSIGNED;
    job.attempt = 3;
    OK(save(&job, NULL));
    assert_int_equal(world_number("SELECT COUNT(*) FROM jobs"), 1);
    assert_int_equal(world_number("SELECT attempt FROM jobs WHERE state = 'assigned'"), 3);
    job.live = false;
    job.state = JOB_CLOSED;
    struct job_fact next = new_job(&owner);
    OK(save(&job, &next)); /* the next one of an owner, once the first has ended */
    assert_int_equal(world_number("SELECT COUNT(*) FROM jobs"), 2);
}

static void a_second_live_job_of_an_owner_overwrites_nothing(void **state)
{
    struct uuid owner = uuid_new(), other = uuid_new();
    struct job_fact first = new_job(&owner), second = new_job(&owner), third = new_job(&other);
    first.attempt = 1;
    OK(save(&first, NULL));
    second.attempt = 2;
    assert_false(save(&second, NULL));
    assert_false(save(&third, &second)); /* nor among others */
    assert_int_equal(world_number("SELECT COUNT(*) FROM jobs WHERE attempt = 2"), 0);
    assert_int_equal(
        world_number(
            "SELECT COUNT(*) FROM jobs WHERE id = %s AND attempt = 1 AND state = 'waiting'",
            world_hex(&first.id)),
        1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_inserted_and_then_changed),
        TEST(a_second_live_job_of_an_owner_overwrites_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
