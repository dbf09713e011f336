/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/http.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "migration/disk/http_inner.h"
#include "proto/fault.h"

/* -- heads ---------------------------------------------------------------------------------------- */

static bool take(struct http_head *head, const char *line)
{
    return http_head_take(head, line, strlen(line));
}

static void a_range_is_read_whole_or_not_at_all(void **state)
{
    struct http_head head = {0};
    assert_true(take(&head, "content-range:  bytes 5-9/100 \r\n"));
    assert_true(head.has_range);
    assert_int_equal(head.first, 5);
    assert_int_equal(head.last, 9);
    assert_int_equal(head.total, 100);
    static const char *const wrong[] = {
        "Content-Range: bytes 5-9/*\r\n",
        "Content-Range: bytes */100\r\n",
        "Content-Range: bytes 9-5/100\r\n",
        "Content-Range: bytes 5-100/100\r\n",
        "Content-Range: bytes -5-9/100\r\n",
        "Content-Range: bytes 5-9/100x\r\n",
        "Content-Range: lines 5-9/100\r\n",
        "Content-Range:\r\n",
        "Content-Range: bytes 5-9/99999999999999999999999\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_true(take(&head, wrong[i]));
        assert_false(head.has_range);
    }
}

static void an_interim_answer_tells_nothing(void **state)
{
    struct http_head head = {0};
    assert_true(take(&head, "HTTP/1.1 103 Early\r\n"));
    assert_true(take(&head, "ETag: \"early\"\r\n"));
    assert_true(take(&head, "HTTP/1.1 206 Partial\r\n"));
    assert_string_equal(head.etag, "");
    assert_true(take(&head, "ETag: \"late\"\r\n"));
    assert_string_equal(head.etag, "\"late\"");
}

static void what_named_a_thing_has_to_name_it_again(void **state)
{
    struct http_head none = {.total = 9}, etag = {.total = 9, .etag = "\"one\""};
    struct http_head other = {.total = 9, .etag = "\"two\""}, longer = {.total = 10};
    struct http_head dated = {.total = 9, .modified = "Monday"};
    struct http_thing unnamed = {.size_bytes = 9};
    assert_true(http_thing_is(&unnamed, &none, false));
    assert_false(http_thing_is(&unnamed, &longer, true));
    struct http_thing by_etag = {.size_bytes = 9, .validator = "\"one\"", .is_etag = true};
    assert_true(http_thing_is(&by_etag, &etag, true));
    assert_false(http_thing_is(&by_etag, &other, true));
    assert_false(http_thing_is(&by_etag, &none, true));
    assert_false(http_thing_is(&by_etag, &dated, true));
    struct http_thing by_date = {.size_bytes = 9, .validator = "Monday"};
    assert_true(http_thing_is(&by_date, &dated, false));
    assert_true(http_thing_is(&by_date, &none, true));
    assert_false(http_thing_is(&by_date, &none, false));
    by_date.validator = "Sunday";
    assert_false(http_thing_is(&by_date, &dated, true));
}

static void an_endless_head_is_refused(void **state)
{
    struct http_head head = {0};
    unsigned lines = 0;
    while (take(&head, lines % 2 == 0 ? "HTTP/1.1 100 Continue\r\n" : "X: y\r\n"))
        assert_true(++lines < 10000);
}

static void urls_are_shown_without_what_they_hide(void **state)
{
    static const char *const pairs[][2] = {
        {"https://a.example/b/c.vmdk", "https://a.example/b/c.vmdk"},
        {"https://a.example/b?key=secret", "https://a.example/b…"},
        {"https://me:se/cret@a.example/b", "https://…"},
        {"nonsense", "nonsense"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char *shown = http_shown(pairs[i][0]);
        assert_string_equal(shown, pairs[i][1]);
        free(shown);
    }
}

/* -- gate ----------------------------------------------------------------------------------------- */

struct asked {
    unsigned count;
    bool answer;
    uint16_t port;
    uint32_t address;
};

static bool may_connect(void *context, const struct sockaddr *address)
{
    struct asked *asked = context;
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof(v4));
    asked->count++;
    asked->port = ntohs(v4.sin_port);
    asked->address = ntohl(v4.sin_addr.s_addr);
    return asked->answer;
}

static int listener(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* The name may have led elsewhere when it was checked: the address that is connected to decides. */
static void an_address_that_is_not_allowed_is_never_connected_to(void **state)
{
    struct error err = {0};
    struct asked asked = {.answer = false};
    struct disk *disk = NULL;
    uint16_t port = 0;
    int fd = listener(&port);
    char *url = xasprintf("http://localhost:%u/a", port);
    const char *const headers[] = {"Authorization: Bearer secret", NULL};
    struct http_plan plan = {
        .url = url, .headers = headers, .may_connect = may_connect, .may_connect_context = &asked};
    setenv("http_proxy", "http://127.0.0.1:9/", 1); /* would connect in our place */
    assert_false(disk_http_open(&plan, &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_ADDRESS_NOT_ALLOWED);
    assert_true(asked.count > 0);
    assert_int_equal(asked.port, port);
    struct http_upload *upload = NULL;
    assert_true(http_upload_begin(&plan, 5, &upload, &err));
    (void)!http_upload_write(upload, "bytes", 5, &err);
    assert_false(http_upload_end(upload, &err));
    assert_ptr_equal(err.fault, &FAULT_ADDRESS_NOT_ALLOWED);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    unsetenv("http_proxy");
    close(fd);
    free(url);
}

/* A peer that accepts and neither reads nor answers. */
static const struct fault *upload_fault(uint64_t length, uint64_t *ret_taken)
{
    struct error err = {0};
    struct http_upload *upload = NULL;
    static uint8_t data[1 << 20];
    uint16_t port = 0;
    int fd = listener(&port);
    char *url = xasprintf("http://127.0.0.1:%u/a", port);
    struct http_plan plan = {.url = url, .idle_seconds = 1, .answer_seconds = 1};
    bool ok = true;
    uint64_t sent = 0;
    assert_true(http_upload_begin(&plan, length, &upload, &err));
    for (; ok && sent < length; sent += sizeof(data)) {
        uint64_t rest = length - sent;
        ok = http_upload_write(upload, data, rest < sizeof(data) ? rest : sizeof(data), &err);
    }
    assert_false(http_upload_end(upload, &err));
    close(fd);
    free(url);
    *ret_taken = sent;
    return err.fault;
}

static void a_peer_that_takes_nothing_is_given_up(void **state)
{
    uint64_t taken = 0;
    assert_ptr_equal(upload_fault(1ull << 30, &taken), &FAULT_TIMEOUT);
    assert_true(taken < 1ull << 29);
}

static void a_peer_that_never_answers_leaves_it_uncertain(void **state)
{
    uint64_t taken = 0;
    assert_ptr_equal(upload_fault(5, &taken), &FAULT_UNCERTAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_read_whole_or_not_at_all),
        cmocka_unit_test(an_interim_answer_tells_nothing),
        cmocka_unit_test(what_named_a_thing_has_to_name_it_again),
        cmocka_unit_test(an_endless_head_is_refused),
        cmocka_unit_test(urls_are_shown_without_what_they_hide),
        cmocka_unit_test(an_address_that_is_not_allowed_is_never_connected_to),
        cmocka_unit_test(a_peer_that_takes_nothing_is_given_up),
        cmocka_unit_test(a_peer_that_never_answers_leaves_it_uncertain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
