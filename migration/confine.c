/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "migration/confine_filter.h"

/* What headers of an older kernel do not name yet (Documentation/userspace-api/landlock.rst). */
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define NET_BIND_TCP (1ull << 0) /* ABI 4 */
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ull << 1)
/* Before this one every rename into another directory is refused, also between allowed ones. */
#define ABI_LEAST 2

#define FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define FILE_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define DIRECTORY_WRITE                                                                            \
    (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define HANDLED                                                                                    \
    (LANDLOCK_ACCESS_FS_EXECUTE | FILE_READ | FILE_WRITE | LANDLOCK_ACCESS_FS_READ_DIR |           \
     DIRECTORY_WRITE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

struct ruleset {
    uint64_t files, network, scopes;
};
struct confine {
    int ruleset_fd;   /* −1: the kernel has no Landlock */
    uint64_t handled; /* of files, as far as the kernel knows them */
    int failed;       /* errno of the first rule that could not be added */
    struct confine_filter filter;
};

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < ABI_LEAST ? 0 : (int)abi;
}

static int make_ruleset(int abi, unsigned flags, uint64_t *ret_handled)
{
    struct ruleset set = {.files = HANDLED};
    size_t size = sizeof(set.files);
    if (abi < 3)
        set.files &= ~FS_TRUNCATE;
    if (abi >= 4) {
        set.network = NET_BIND_TCP | (flags & CONFINE_NETWORK ? 0 : NET_CONNECT_TCP);
        size += sizeof(set.network);
    }
    if (abi >= 6) {
        set.scopes = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        size += sizeof(set.scopes);
    }
    *ret_handled = set.files;
    return (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
}

bool confine_new(unsigned flags, struct confine **ret_confine, struct error *err)
{
    struct confine *confine = xcalloc(1, sizeof(*confine));
    int abi = landlock_abi();
    confine->ruleset_fd = abi > 0 ? make_ruleset(abi, flags, &confine->handled) : -1;
    if (abi > 0 && confine->ruleset_fd < 0) {
        error_set_errno(err, errno, "preparing a confinement");
        confine_free(confine);
        return false;
    }
    confine_filter_make(&confine->filter, flags);
    *ret_confine = confine;
    return true;
}

void confine_free(struct confine *confine)
{
    if (confine == NULL)
        return;
    fd_closep(&confine->ruleset_fd);
    free(confine);
}

void confine_freep(struct confine **confine)
{
    confine_free(*confine);
    *confine = NULL;
}

static uint64_t rights_of(unsigned access, bool is_directory)
{
    uint64_t rights = 0;
    if (access & CONFINE_READ)
        rights |= FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR;
    if (access & CONFINE_WRITE)
        rights |= FILE_WRITE | DIRECTORY_WRITE;
    if (access & CONFINE_RUN)
        rights |= LANDLOCK_ACCESS_FS_EXECUTE;
    if (access & CONFINE_SOCKETS)
        rights |= LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    return is_directory ? rights : rights & (LANDLOCK_ACCESS_FS_EXECUTE | FILE_READ | FILE_WRITE);
}

void confine_fd(struct confine *confine, int fd, unsigned access)
{
    struct stat facts;
    if (confine->ruleset_fd < 0)
        return;
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    bool added = fstat(fd, &facts) == 0;
    rule.allowed_access = rights_of(access, added && S_ISDIR(facts.st_mode)) & confine->handled;
    added = added && syscall(SYS_landlock_add_rule, confine->ruleset_fd, LANDLOCK_RULE_PATH_BENEATH,
                             &rule, 0) == 0;
    if (!added && confine->failed == 0)
        confine->failed = errno;
}

void confine_path(struct confine *confine, const char *path, unsigned access)
{
    CLEANUP(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        confine_fd(confine, fd, access);
    else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && confine->failed == 0)
        confine->failed = errno;
}

void confine_system(struct confine *confine)
{
    /* Files of /etc one by one: beside them lie the passwords of others, and our own. */
    static const char *const readable[] = {
        "/usr",
        "/lib",
        "/lib64",
        "/bin",
        "/sbin",
        "/proc",
        "/sys",
        "/etc/alternatives",
        "/etc/ca-certificates",
        "/etc/crypto-policies",
        "/etc/gai.conf",
        "/etc/gnutls",
        "/etc/group",
        "/etc/host.conf",
        "/etc/hosts",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/ld.so.preload",
        "/etc/localtime",
        "/etc/nsswitch.conf",
        "/etc/passwd",
        "/etc/pki",
        "/etc/resolv.conf",
        "/etc/services",
        "/etc/ssl",
        "/run/NetworkManager",
        "/run/resolvconf",
        "/run/systemd/resolve",
    };
    static const char *const devices[] = {"/dev/full",   "/dev/kvm",     "/dev/null",
                                          "/dev/random", "/dev/urandom", "/dev/zero"};
    for (size_t i = 0; i < COUNT_OF(readable); i++)
        confine_path(confine, readable[i], CONFINE_READ);
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        confine_path(confine, devices[i], CONFINE_READ | CONFINE_WRITE);
}

void confine_tool(struct confine *confine, const char *path)
{
    static const char *const loaders[] = {"/lib64/ld-linux-x86-64.so.2",
                                          "/lib/ld-linux-aarch64.so.1", "/lib64/ld64.so.2"};
    confine_path(confine, path, CONFINE_READ | CONFINE_RUN);
    for (size_t i = 0; i < COUNT_OF(loaders); i++)
        confine_path(confine, loaders[i], CONFINE_READ | CONFINE_RUN);
}

int confine_enter(const struct confine *confine)
{
    if (confine->failed != 0)
        return confine->failed;
    if (confine->ruleset_fd >= 0 &&
        syscall(SYS_landlock_restrict_self, confine->ruleset_fd, 0) != 0)
        return errno;
    return confine_filter_enter(&confine->filter);
}

bool confine_kinds(char ret_text[CONFINE_KINDS_SIZE])
{
    int abi = landlock_abi();
    bool seccomp = confine_filter_possible();
    if (abi > 0)
        snprintf(ret_text, CONFINE_KINDS_SIZE, "landlock %d, %s", abi,
                 seccomp ? "seccomp" : "no seccomp");
    else
        snprintf(ret_text, CONFINE_KINDS_SIZE, "no landlock, %s",
                 seccomp ? "seccomp" : "no seccomp");
    return abi > 0 && seccomp;
}
