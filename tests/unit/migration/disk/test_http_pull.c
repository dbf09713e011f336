/* SPDX-License-Identifier: Apache-2.0
 *
 * Long GETs against a small server in a thread: it serves ranges of a known pattern, wants a token, and
 * can hang up early.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/disk/http.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/send_all.h"

#define SIZE (24ull << 20)
#define PIECE (64u << 10)

struct server {
    int fd;
    pthread_t thread;
    atomic_int token;     /* that it wants */
    atomic_uint requests; /* answered with bytes */
    atomic_uint hang_up;  /* bytes after which the next answers end; 0: never */
    char url[64];
};

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u) >> 13);
}

static void serve_range(struct server *server, int fd, uint64_t first, uint64_t last)
{
    char head[256];
    uint8_t piece[PIECE];
    unsigned most = atomic_load(&server->hang_up);
    int length = snprintf(head, sizeof(head),
                          "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: "
                          "%llu\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                          (unsigned long long)(last - first + 1), (unsigned long long)first,
                          (unsigned long long)last, (unsigned long long)SIZE);
    if (!send_all(fd, head, (size_t)length))
        return;
    for (uint64_t at = first; at <= last && (most == 0 || at - first < most);) {
        size_t count = last - at + 1 < PIECE ? (size_t)(last - at + 1) : PIECE;
        for (size_t i = 0; i < count; i++)
            piece[i] = byte_at(at + i);
        if (!send_all(fd, piece, count))
            return;
        at += count;
    }
}

static void answer(struct server *server, int fd)
{
    static const char refusal[] =
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    char request[4096] = "", wanted[32];
    size_t length = 0;
    while (strstr(request, "\r\n\r\n") == NULL && length + 1 < sizeof(request)) {
        ssize_t got = recv(fd, request + length, sizeof(request) - 1 - length, 0);
        if (got <= 0)
            return;
        length += (size_t)got;
        request[length] = '\0';
    }
    snprintf(wanted, sizeof(wanted), "X-Token: %d\r\n", atomic_load(&server->token));
    if (strstr(request, wanted) == NULL) {
        send_all(fd, refusal, sizeof(refusal) - 1);
        return;
    }
    unsigned long long first = 0, last = SIZE - 1;
    const char *range = strstr(request, "Range: bytes=");
    if (range != NULL)
        sscanf(range, "Range: bytes=%llu-%llu", &first, &last);
    atomic_fetch_add(&server->requests, 1);
    serve_range(server, fd, first, last);
}

static void *serve_one(void *context)
{
    struct server *server = ((void **)context)[0];
    int fd = (int)(intptr_t)((void **)context)[1];
    free(context);
    answer(server, fd);
    close(fd);
    return NULL;
}

static void *serve(void *context)
{
    struct server *server = context;
    for (int fd; (fd = accept(server->fd, NULL, NULL)) >= 0;) {
        pthread_t thread;
        void **both = xcalloc(2, sizeof(*both));
        both[0] = server;
        both[1] = (void *)(intptr_t)fd;
        assert_int_equal(pthread_create(&thread, NULL, serve_one, both), 0);
        pthread_detach(thread);
    }
    return NULL;
}

static struct server server;

static int begin(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.fd, (struct sockaddr *)(void *)&address, sizeof(address)) != 0 ||
        listen(server.fd, 8) != 0 ||
        getsockname(server.fd, (struct sockaddr *)(void *)&address, &length) != 0)
        return 1;
    snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%u/a", ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, serve, &server);
}

static int end(void **state)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
    return 0;
}

static int calm(void **state)
{
    atomic_store(&server.token, 1);
    atomic_store(&server.hang_up, 0);
    return 0;
}

static const char *const first_token[] = {"X-Token: 1", NULL};
static const char *const second_token[] = {"X-Token: 2", NULL};

static const char *const *renew(void *context)
{
    unsigned *count = context;
    ++*count;
    return second_token;
}

static struct disk *open_disk(unsigned *renewals)
{
    struct error err = {0};
    struct disk *disk = NULL;
    struct http_plan plan = {.url = server.url,
                             .headers = first_token,
                             .renew = renewals != NULL ? renew : NULL,
                             .renew_context = renewals};
    assert_true(disk_http_pull_open(&plan, &disk, &err));
    assert_int_equal(disk_size_bytes(disk), SIZE);
    atomic_store(&server.requests, 0);
    return disk;
}

static bool read_and_compare(struct disk *disk, uint64_t offset, size_t length, struct error *err)
{
    CLEANUP(xfreep) uint8_t *data = xcalloc(1, length);
    if (!disk_read(disk, data, length, offset, err))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (data[i] != byte_at(offset + i))
            fail_msg("a wrong byte at %llu", (unsigned long long)(offset + i));
    }
    return true;
}

static void tables_and_data_in_turns_take_two_requests(void **state)
{
    struct error err = {0};
    struct disk *disk = open_disk(NULL);
    for (uint64_t i = 0; i < 16; i++) {
        assert_true(read_and_compare(disk, i * PIECE, PIECE, &err));
        assert_true(read_and_compare(disk, (8ull << 20) + i * (1u << 20), 1u << 20, &err));
    }
    assert_int_equal(atomic_load(&server.requests), 2);
    disk_close(disk);
}

static void an_answer_that_ends_early_is_gone_on_with(void **state)
{
    struct error err = {0};
    struct disk *disk = open_disk(NULL);
    atomic_store(&server.hang_up, 5u << 20);
    assert_true(read_and_compare(disk, 100, SIZE - 100, &err));
    assert_true(atomic_load(&server.requests) > 4);
    disk_close(disk);
}

static void a_refused_token_is_renewed_and_the_bytes_go_on(void **state)
{
    struct error err = {0};
    unsigned renewals = 0;
    struct disk *disk = open_disk(&renewals);
    assert_true(read_and_compare(disk, 0, 1u << 20, &err));
    atomic_store(&server.token, 2);
    assert_true(read_and_compare(disk, 16ull << 20, 1u << 20, &err));
    assert_int_equal(renewals, 1);
    disk_close(disk);
}

static void a_token_that_nobody_renews_ends_the_reading(void **state)
{
    struct error err = {0};
    unsigned renewals = 0;
    struct disk *disk = open_disk(&renewals);
    atomic_store(&server.token, 3); /* the new one is no better */
    assert_false(read_and_compare(disk, 16ull << 20, PIECE, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    assert_true(renewals <= 2);
    disk_close(disk);
    atomic_store(&server.token, 1);
    disk = open_disk(NULL);
    atomic_store(&server.token, 2);
    assert_false(read_and_compare(disk, 16ull << 20, PIECE, &err));
    assert_ptr_equal(err.fault, &FAULT_DENIED);
    disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tables_and_data_in_turns_take_two_requests, calm),
        cmocka_unit_test_setup(an_answer_that_ends_early_is_gone_on_with, calm),
        cmocka_unit_test_setup(a_refused_token_is_renewed_and_the_bytes_go_on, calm),
        cmocka_unit_test_setup(a_token_that_nobody_renews_ends_the_reading, calm),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
