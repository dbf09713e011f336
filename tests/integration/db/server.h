/* SPDX-License-Identifier: Apache-2.0
 *
 * Which database server a test program speaks to, from its environment: GUTS_TEST_DB_ADDRESS, _USER,
 * _PASSWORD (may be empty), _NAME, _TLS_CA (may be absent: no TLS), and _PID where a test freezes it.
 */
#ifndef GUTS_TESTS_INTEGRATION_DB_SERVER_H
#define GUTS_TESTS_INTEGRATION_DB_SERVER_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/base/clock.h"
#include "common/db/db.h"

static inline const char *test_server_need(const char *name)
{
    const char *value = getenv(name);
    if (value != NULL && value[0] != '\0')
        return value;
    fprintf(stderr, "%s is not set: tests/integration/test_db.py and test_store.py set it\n", name);
    exit(2);
}

static inline void test_server_settings(struct db_settings *ret_settings)
{
    static const char *addresses[1];
    static struct secret *password;
    const char *text = getenv("GUTS_TEST_DB_PASSWORD");
    addresses[0] = test_server_need("GUTS_TEST_DB_ADDRESS");
    if (password == NULL && text != NULL && text[0] != '\0')
        password = secret_new(text, strlen(text));
    *ret_settings = (struct db_settings){
        .addresses = {addresses, 1},
        .database = test_server_need("GUTS_TEST_DB_NAME"),
        .user = test_server_need("GUTS_TEST_DB_USER"),
        .password = password,
        .tls_ca = getenv("GUTS_TEST_DB_TLS_CA") != NULL ? getenv("GUTS_TEST_DB_TLS_CA") : "",
        .tls_certificate = "",
        .tls_key = "",
        .connect_timeout_ms = 2000,
        .answer_timeout_ms = 4000,
        .wait_timeout_ms = 60000,
    };
}

static inline pid_t test_server_pid(void)
{
    return (pid_t)strtol(test_server_need("GUTS_TEST_DB_PID"), NULL, 10);
}

/* Whether each thread of the server stands still. */
static inline bool test_server_stands(void)
{
    char path[300], line[512];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)test_server_pid());
    DIR *tasks = opendir(path);
    bool stands = tasks != NULL;
    for (struct dirent *one; stands && (one = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)test_server_pid(), one->d_name);
        FILE *file = one->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file == NULL)
            continue; /* it has ended */
        const char *end = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
        stands = end == NULL || strchr("TtZX", end[2]) != NULL;
        fclose(file);
    }
    if (tasks != NULL)
        closedir(tasks);
    return stands;
}

/* A signal stops each thread only when that thread next looks for it: until then one that runs goes on
 * answering. */
static inline bool test_server_freeze(void)
{
    kill(test_server_pid(), SIGSTOP);
    for (unsigned i = 0; i < 3000; i++) {
        if (test_server_stands())
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

#endif
