/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "migration/root.h"
#include "migration/root_url.h"
#include "proto/fault.h"

struct place {
    char top[64];
    struct roots *roots;
};

static const char *in(const struct place *place, const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *text = path[turn++ % 4];
    snprintf(text, sizeof(path[0]), "%s/%s", place->top, name);
    return text;
}

static void put(const struct place *place, const char *name, const char *content)
{
    FILE *file = fopen(in(place, name), "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    struct error err = {0};
    strcpy(place->top, "/tmp/guts-root-XXXXXX");
    assert_non_null(mkdtemp(place->top));
    assert_int_equal(mkdir(in(place, "in"), 0755), 0);
    assert_int_equal(mkdir(in(place, "in/sub"), 0755), 0);
    assert_int_equal(mkdir(in(place, "inside"), 0755), 0);
    assert_int_equal(mkdir(in(place, "out"), 0755), 0);
    put(place, "in/a", "a");
    put(place, "in/sub/b", "b");
    put(place, "inside/c", "c");
    assert_int_equal(symlink("../inside/c", in(place, "in/up")), 0);
    assert_int_equal(symlink("/etc/passwd", in(place, "in/passwd")), 0);
    assert_int_equal(symlink("sub/b", in(place, "in/near")), 0);
    assert_int_equal(symlink("/proc/self/root", in(place, "in/magic")), 0);
    assert_int_equal(mkfifo(in(place, "in/pipe"), 0644), 0);
    const char *read = xstrdup(in(place, "in/")), *write = xstrdup(in(place, "out"));
    const char *urls[] = {"https://images.example.org/vms/", "http://127.0.0.1:8099/a",
                          "http://ip6-localhost/"};
    assert_true(roots_open(&(struct conf_strings){&read, 1}, &(struct conf_strings){&write, 1},
                           &(struct conf_strings){urls, 3}, &place->roots, &err));
    free((char *)read);
    free((char *)write);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    roots_free(place->roots);
    assert_true(file_remove_tree(place->top, &err));
    free(place);
    return 0;
}

static const struct fault *open_gives(struct place *place, const char *path)
{
    struct error err = {0};
    int fd = -1;
    if (!roots_open_file(place->roots, path, O_RDONLY, &fd, &err))
        return err.fault;
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    return NULL;
}

static void paths_beneath_a_root_open(void **state)
{
    struct place *place = *state;
    assert_null(open_gives(place, in(place, "in/a")));
    assert_null(open_gives(place, in(place, "in//sub/./b")));
    assert_null(open_gives(place, in(place, "in")));
    assert_null(open_gives(place, in(place, "in/near")));
}

static void paths_that_leave_are_refused(void **state)
{
    struct place *place = *state;
    const char *const names[] = {
        "in/../inside/c", "inside/c", "in/up", "in/passwd", "in/magic/etc",
        "in/..",          "in/pipe",  "out",   "",          "in/sub/../../inside/c"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_ptr_equal(open_gives(place, in(place, names[i])), &FAULT_PATH_OUTSIDE);
    assert_ptr_equal(open_gives(place, "in/a"), &FAULT_PATH_OUTSIDE);
    assert_ptr_equal(open_gives(place, "/etc/passwd"), &FAULT_PATH_OUTSIDE);
    assert_ptr_equal(open_gives(place, in(place, "in/none")), &FAULT_NOT_FOUND);
}

static void writing_needs_a_write_root(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    int fd = -1;
    assert_true(roots_open_for_write(place->roots, in(place, "out/new"), O_CREAT | O_EXCL | O_RDWR,
                                     0600, &fd, &err));
    close(fd);
    assert_false(
        roots_open_for_write(place->roots, in(place, "in/new"), O_CREAT | O_RDWR, 0600, &fd, &err));
    assert_ptr_equal(err.fault, &FAULT_PATH_OUTSIDE);
    assert_int_equal(symlink("new", in(place, "out/link")), 0);
    assert_false(roots_open_for_write(place->roots, in(place, "out/link"), O_RDWR, 0, &fd, &err));
    assert_ptr_equal(err.fault, &FAULT_PATH_OUTSIDE);
}

static void names_of_descriptors_stay_in_their_directory(void **state)
{
    struct place *place = *state;
    int directory = open(in(place, "in"), O_RDONLY | O_DIRECTORY);
    const char *const names[] = {"../inside/c", "/etc/passwd",      "passwd", "up", "",
                                 "sub/../../x", "magic/etc/passwd", "pipe"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct error err = {0};
        int fd = -1;
        assert_false(roots_open_beneath(directory, names[i], O_RDONLY, &fd, &err));
        assert_ptr_equal(err.fault, &FAULT_PATH_OUTSIDE);
        assert_int_equal(fd, -1);
    }
    struct error err = {0};
    int fd = -1;
    assert_true(roots_open_beneath(directory, "sub/b", O_RDONLY, &fd, &err));
    close(fd);
    close(directory);
}

/* A filesystem that is not mounted now: what needs it is tried again, what does not goes on. */
static void a_root_that_is_away_costs_only_what_lies_beneath_it(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct roots *roots = NULL;
    int fd = -1;
    const char *paths[] = {in(place, "away"), in(place, "in")};
    struct conf_strings none = {0};
    assert_true(roots_open(&(struct conf_strings){paths, 2}, &none, &none, &roots, &err));
    assert_true(roots_open_file(roots, in(place, "in/a"), O_RDONLY, &fd, &err));
    close(fd);
    assert_false(roots_open_file(roots, in(place, "away/a"), O_RDONLY, &fd, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_non_null(strstr(err.text, "No such file"));
    roots_free(roots);
}

static const struct fault *url_gives(struct place *place, const char *url)
{
    struct error err = {0};
    return roots_allow_url(place->roots, url, &err) ? NULL : err.fault;
}

static void what_an_url_hides_is_in_no_error(void **state)
{
    static const char *const urls[] = {
        "https://images.example.org/other?Signature=geheim",
        "https://user:geheim@images.example.org/vms/a",
        "https://user:ge/heim?geheim@images.example.org/vms/a",
        "ftp://images.example.org/vms/a?geheim",
        "user:geheim@images.example.org",
    };
    struct place *place = *state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct error err = {0};
        assert_false(roots_allow_url(place->roots, urls[i], &err));
        assert_null(strstr(err.text, "heim"));
        assert_null(strstr(err.text, "user"));
    }
    struct error err = {0};
    assert_false(roots_allow_url(place->roots, urls[0], &err));
    assert_non_null(strstr(err.text, "https://images.example.org/other"));
}

/* A name that led elsewhere when it was checked may lead to this machine when it is connected to. */
static void an_address_is_judged_when_it_is_connected_to(void **state)
{
    struct place *place = *state;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    const struct sockaddr *addresses[] = {(struct sockaddr *)&own, (struct sockaddr *)&far};
    static const char *const named = "https://images.example.org/vms/a";
    assert_false(roots_allow_address(place->roots, named, addresses[0]));
    assert_true(roots_allow_address(place->roots, named, addresses[1]));
    assert_true(roots_allow_address(place->roots, "http://127.0.0.1:8099/a", addresses[0]));
    assert_false(roots_allow_address(place->roots, "http://other.example/", addresses[1]));
}

static void only_listed_urls_pass(void **state)
{
    struct place *place = *state;
    assert_null(url_gives(place, "http://127.0.0.1:8099/a"));
    assert_null(url_gives(place, "http://127.0.0.1:8099/a/b.ova?c=d"));
    const char *const refused[] = {
        "http://127.0.0.1:8099/ab",
        "http://127.0.0.1:8099/a/../b",
        "http://127.0.0.1:8099/a/%2e%2E/b",
        "http://127.0.0.1:8099/a/.%2e/b",
        "http://127.0.0.1:8099/a/..%2fb",
        "http://127.0.0.1:80990/a",
        "http://127.0.0.1/a",
        "http://127.0.0.1:8099@evil.example/a",
        "http://user@127.0.0.1:8099/a",
        "https://127.0.0.1:8099/a",
        "file:///etc/passwd",
        "ftp://images.example.org/vms/a",
        "http://images.example.org/vms/a",
        "https://images.example.org.evil.example/vms/a",
        "https://images.example.org/other",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:8099/a",
        "http://127.0.0.1:8099/a b",
        "http://127.0.0.1:8099/a#b",
        "",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_ptr_equal(url_gives(place, refused[i]), &FAULT_ADDRESS_NOT_ALLOWED);
}

static void a_listed_name_that_leads_to_this_machine_is_refused(void **state)
{
    struct place *place = *state;
    const struct fault *fault = url_gives(place, "http://ip6-localhost/x");
    /* The name stands in most hosts files; where it does not, it cannot be resolved. */
    assert_true(fault == &FAULT_ADDRESS_NOT_ALLOWED || fault == &FAULT_SOURCE_UNREACHABLE);
}

static bool is_own(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_private_to_host((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_private_to_host((struct sockaddr *)&v6);
}

static void addresses_of_this_machine_are_known(void **state)
{
    const char *const own[] = {
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.1.1",      "224.0.0.1",  "::1",
        "fe80::1",   "::",        "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1"};
    const char *const others[] = {"10.0.0.1", "192.168.1.1", "93.184.216.34", "2001:db8::1",
                                  "::ffff:10.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(own); i++)
        assert_true(is_own(own[i]));
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_false(is_own(others[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_beneath_a_root_open),
        TEST(paths_that_leave_are_refused),
        TEST(writing_needs_a_write_root),
        TEST(names_of_descriptors_stay_in_their_directory),
        TEST(a_root_that_is_away_costs_only_what_lies_beneath_it),
        TEST(only_listed_urls_pass),
        TEST(an_address_is_judged_when_it_is_connected_to),
        TEST(what_an_url_hides_is_in_no_error),
        TEST(a_listed_name_that_leads_to_this_machine_is_refused),
        TEST(addresses_of_this_machine_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
