/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file: every error is told, nothing is read out of bounds.
 *
 * sources: common/conf/conf.c common/conf/unit.c
 * packages: libconfig
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig's own scanner leaks a text after a syntax error; the process ends then anyway. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig_yylex\nleak:strbuf_append\n";
}

static struct settings {
    const char *host;
    int64_t threads;
    uint64_t body;
    uint64_t lease;
    bool fast;
    struct conf_strings addresses;
} settings;

static const struct conf_key keys[] = {
    {"host", CONF_STRING, offsetof(struct settings, host), false, "local", 1, 20, ""},
    {"threads", CONF_INTEGER, offsetof(struct settings, threads), false, "4", 1, 64, ""},
    {"body", CONF_SIZE, offsetof(struct settings, body), false, "1MiB", 1, 1 << 30, ""},
    {"lease", CONF_DURATION, offsetof(struct settings, lease), true, NULL, 0, 0, ""},
    {"fast", CONF_BOOL, offsetof(struct settings, fast), false, "true", 0, 0, ""},
    {"addresses", CONF_STRINGS, offsetof(struct settings, addresses), false, "[\"a\"]", 1, 3, ""},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct conf_section sections[] = {{"", keys, COUNT_OF(keys), &settings},
                                            {"broker", keys, COUNT_OF(keys), &settings}};
    struct error err = {0};
    struct conf *conf = NULL;
    if (memmem(data, size, "@include", 8) != NULL)
        return 0; /* it would read files of this machine */
    int fd = memfd_create("conf", MFD_CLOEXEC);
    char *path = xasprintf("/proc/self/fd/%d", fd);
    if (write(fd, data, size) != (ssize_t)size)
        abort();
    if (conf_load(path, sections, COUNT_OF(sections), &conf, &err))
        conf_free(conf);
    else if (err.fault != &FAULT_CONFIG || err.text[0] == '\0')
        abort();
    free(path);
    close(fd);
    return 0;
}
