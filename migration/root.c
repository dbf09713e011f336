/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "migration/root_url.h"
#include "proto/fault.h"

#define PATH_MOST 4096
#define RACES_MOST 64

/* A directory beneath which paths may lie: the path as people write it, and the directory itself,
 * so that a later change of the path leads nowhere else. */
struct root {
    char *path; /* normal form: no trailing slash but "/" itself */
    int fd;     /* -1: it could not be opened (a filesystem that is not mounted now) */
    int number; /* errno of that */
};
struct root_list {
    struct root *items;
    size_t count;
};
struct roots {
    struct root_list read;
    struct root_list write;
    struct url_list *urls;
};

/* Writes `path` without double slashes, "." and a trailing slash. ".." is refused, not resolved. */
static bool normalize(const char *path, char ret_path[PATH_MOST], struct error *err)
{
    if (path == NULL || path[0] != '/')
        return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.300s\" is no absolute path",
                         path != NULL ? path : "");
    if (strlen(path) >= PATH_MOST)
        return error_set(err, &FAULT_PATH_OUTSIDE, "the path \"%.100s…\" is too long", path);
    size_t length = 0;
    for (const char *rest = path; *rest != '\0';) {
        size_t part = strcspn(rest, "/");
        if (part == 2 && strncmp(rest, "..", 2) == 0)
            return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.300s\" contains \"..\"", path);
        if (part > 0 && !(part == 1 && rest[0] == '.')) {
            ret_path[length++] = '/';
            memcpy(ret_path + length, rest, part);
            length += part;
        }
        rest += part + (rest[part] == '/');
    }
    if (length == 0)
        ret_path[length++] = '/';
    ret_path[length] = '\0';
    return true;
}

/* What of a normal path lies beneath the root ("." for the root itself), or NULL. */
static const char *rest_beneath(const struct root *root, const char *path)
{
    size_t length = strlen(root->path);
    if (strcmp(root->path, "/") == 0)
        return path[1] != '\0' ? path + 1 : ".";
    if (strncmp(path, root->path, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return ".";
    return path[length] == '/' ? path + length + 1 : NULL;
}

static bool explain(int number, const char *shown, struct error *err)
{
    switch (number) {
    case EXDEV:
        return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.300s\" leads out of its directory", shown);
    case ELOOP:
        return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.300s\" is or passes a link", shown);
    case ENOSYS:
        return error_set(err, &FAULT_UNSUPPORTED,
                         "this kernel cannot confine paths (openat2, Linux 5.6)");
    default:
        return error_set_errno(err, number, "cannot open \"%.300s\"", shown);
    }
}

static int open_confined(int directory_fd, const char *name, int flags, mode_t mode,
                         uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if ((flags & O_PATH) != 0)
        how.flags = (uint64_t)(flags | O_CLOEXEC);
    /* EAGAIN: something was renamed on the way, so that ".." could not be judged. */
    for (int turn = 0; turn < RACES_MOST; turn++) {
        long fd = syscall(SYS_openat2, directory_fd, name, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return (int)fd;
    }
    return -1;
}

/* A pipe or a terminal in the place of an image would block us or worse. */
static bool check_kind(int fd, const char *shown, struct error *err)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return error_set_errno(err, errno, "cannot look at \"%.300s\"", shown);
    if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode) && !S_ISBLK(facts.st_mode))
        return error_set(err, &FAULT_PATH_OUTSIDE,
                         "\"%.300s\" is neither a file nor a directory nor a block device", shown);
    return true;
}

static bool open_checked(int directory_fd, const char *name, const char *shown, int flags,
                         mode_t mode, uint64_t resolve, int *ret_fd, struct error *err)
{
    CLEANUP(fd_closep) int fd = open_confined(directory_fd, name, flags, mode, resolve);
    if (fd < 0)
        return explain(errno, shown, err);
    if (!check_kind(fd, shown, err))
        return false;
    if ((flags & (O_PATH | O_NONBLOCK)) == 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool open_in_list(const struct root_list *list, const char *path, int flags, mode_t mode,
                         uint64_t resolve, int *ret_fd, struct error *err)
{
    char normal[PATH_MOST];
    if (!normalize(path, normal, err))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct root *root = &list->items[i];
        const char *rest = rest_beneath(root, normal);
        if (rest != NULL && root->fd < 0)
            return error_set(err, &FAULT_IO, "cannot open the root \"%.300s\": %s", root->path,
                             strerror(root->number));
        if (rest != NULL)
            return open_checked(root->fd, rest, normal, flags, mode, resolve, ret_fd, err);
    }
    return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.300s\" lies beneath no root of this node",
                     normal);
}

bool roots_open_file(const struct roots *roots, const char *path, int flags, int *ret_fd,
                     struct error *err)
{
    return open_in_list(&roots->read, path, flags & ~O_CREAT, 0, 0, ret_fd, err);
}

bool roots_open_for_write(const struct roots *roots, const char *path, int flags, mode_t mode,
                          int *ret_fd, struct error *err)
{
    return open_in_list(&roots->write, path, flags, mode, RESOLVE_NO_SYMLINKS, ret_fd, err);
}

bool roots_open_beneath(int directory_fd, const char *name, int flags, int *ret_fd,
                        struct error *err)
{
    if (name == NULL || name[0] == '\0' || strlen(name) >= PATH_MOST)
        return error_set(err, &FAULT_PATH_OUTSIDE, "a name of a file is empty or too long");
    return open_checked(directory_fd, name, name, flags & ~O_CREAT, 0, 0, ret_fd, err);
}

bool roots_allow_url(const struct roots *roots, const char *url, struct error *err)
{
    return url_list_allow(roots->urls, url, err);
}

bool roots_allow_address(const struct roots *roots, const char *url, const struct sockaddr *address)
{
    return url_list_allow_address(roots->urls, url, address);
}

static bool open_list(const struct conf_strings *paths, struct root_list *list, struct error *err)
{
    list->items = xcalloc(paths->count + 1, sizeof(*list->items));
    for (size_t i = 0; i < paths->count; i++) {
        char normal[PATH_MOST];
        if (!normalize(paths->items[i], normal, err))
            return error_set(err, &FAULT_CONFIG, "the root \"%.300s\" is no absolute plain path",
                             paths->items[i]);
        int fd = open(normal, O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* It may come back; and what lies beneath the others does not wait for it. */
        list->items[list->count++] =
            (struct root){.path = xstrdup(normal), .fd = fd, .number = fd < 0 ? errno : 0};
    }
    return true;
}

bool roots_open(const struct conf_strings *read, const struct conf_strings *write,
                const struct conf_strings *urls, struct roots **ret_roots, struct error *err)
{
    struct roots *roots = xcalloc(1, sizeof(*roots));
    if (!open_list(read, &roots->read, err) || !open_list(write, &roots->write, err) ||
        !url_list_new(urls, &roots->urls, err)) {
        roots_free(roots);
        return false;
    }
    *ret_roots = roots;
    return true;
}

static void free_list(struct root_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        fd_closep(&list->items[i].fd);
        free(list->items[i].path);
    }
    free(list->items);
}

void roots_free(struct roots *roots)
{
    if (roots == NULL)
        return;
    free_list(&roots->read);
    free_list(&roots->write);
    url_list_free(roots->urls);
    free(roots);
}
