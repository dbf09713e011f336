/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper trees than any of ours are refused rather than followed with one descriptor a level. */
#define TREE_DEPTH_MOST 64

static bool read_to_end(int fd, size_t most, struct buffer *content, struct error *err)
{
    size_t before = content->length;
    for (;;) {
        buffer_reserve(content, 16384);
        ssize_t count = read(fd, content->data + content->length, 16384);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "read");
        content->length += (size_t)count;
        content->data[content->length] = '\0';
        if (content->length - before > most)
            return error_set(err, &FAULT_TOO_LARGE, "has more than %zu bytes", most);
        if (count == 0)
            return true;
    }
}

bool file_read(const char *path, size_t most, struct buffer *ret_content, struct error *err)
{
    struct stat status;
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "open \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, &FAULT_INVALID, "\"%s\" is not a regular file", path);
    size_t before = ret_content->length;
    if (read_to_end(fd, most, ret_content, err))
        return true;
    ret_content->length = before;
    if (ret_content->data != NULL)
        ret_content->data[before] = '\0';
    return error_prefix(err, "\"%s\"", path);
}

bool file_write_all(int fd, const void *data, size_t length, struct error *err)
{
    const char *at = data;
    while (length > 0) {
        ssize_t count = write(fd, at, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "write of %zu bytes", length);
        at += count;
        length -= (size_t)count;
    }
    return true;
}

bool file_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, struct error *err)
{
    const char *at = data;
    while (length > 0) {
        ssize_t count = pwrite(fd, at, length, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "write of %zu bytes at %llu", length,
                                   (unsigned long long)offset);
        at += count;
        length -= (size_t)count;
        offset += (uint64_t)count;
    }
    return true;
}

bool file_pread_all(int fd, void *ret_data, size_t length, uint64_t offset, struct error *err)
{
    char *at = ret_data;
    while (length > 0) {
        ssize_t count = pread(fd, at, length, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "read of %zu bytes at %llu", length,
                                   (unsigned long long)offset);
        if (count == 0)
            return error_set(err, &FAULT_IO, "unexpected end at %llu, %zu bytes are wanting",
                             (unsigned long long)offset, length);
        at += count;
        length -= (size_t)count;
        offset += (uint64_t)count;
    }
    return true;
}

bool file_sync_directory(const char *path, struct error *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_set_errno(err, errno, "sync directory \"%s\"", path);
    return true;
}

const char *file_next_name(DIR *directory, const char *what, bool *fine, struct error *err)
{
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(directory);
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    if (entry == NULL && errno != 0)
        *fine = error_set_errno(err, errno, "cannot list \"%s\"", what);
    return entry == NULL ? NULL : entry->d_name;
}

/* "a/b/c" gives "a/b", "c" gives ".", "/c" gives "/". */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return xstrdup(".");
    return xasprintf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool sync_parent(const char *path, struct error *err)
{
    CLEANUP(xfreep) char *parent = parent_of(path);
    return file_sync_directory(parent, err);
}

/* root may replace a file of the daemon's user: the owner stays, or the daemon could not read it. */
static bool keep_owner(int fd, const char *path)
{
    struct stat old;
    if (geteuid() != 0 || stat(path, &old) < 0)
        return true;
    return fchown(fd, old.st_uid, old.st_gid) == 0;
}

static bool write_temporary(int fd, const char *path, mode_t mode, const void *data, size_t length,
                            struct error *err)
{
    if (!keep_owner(fd, path) || fchmod(fd, mode) < 0)
        return error_set_errno(err, errno, "owner and mode");
    if (!file_write_all(fd, data, length, err))
        return false;
    return fsync(fd) == 0 || error_set_errno(err, errno, "sync");
}

bool file_replace(const char *path, mode_t mode, const void *data, size_t length, struct error *err)
{
    CLEANUP(xfreep) char *temporary = xasprintf("%s.XXXXXX", path);
    CLEANUP(fd_closep) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "create \"%s\"", temporary);
    bool done = write_temporary(fd, path, mode, data, length, err);
    if (done && rename(temporary, path) < 0)
        done = error_set_errno(err, errno, "rename over it");
    if (!done) {
        unlink(temporary);
        return error_prefix(err, "replace \"%s\"", path);
    }
    return sync_parent(path, err);
}

static bool make_one_directory(const char *path, mode_t mode, struct error *err)
{
    struct stat status;
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) < 0)
            return error_set_errno(err, errno, "mode of directory \"%s\"", path);
        return sync_parent(path, err);
    }
    if (errno != EEXIST)
        return error_set_errno(err, errno, "make directory \"%s\"", path);
    if (stat(path, &status) < 0)
        return error_set_errno(err, errno, "look at \"%s\"", path);
    return S_ISDIR(status.st_mode) ||
           error_set(err, &FAULT_CONFLICT, "\"%s\" exists and is not a directory", path);
}

bool file_make_directory(const char *path, mode_t mode, struct error *err)
{
    CLEANUP(xfreep) char *partial = xstrdup(path);
    size_t length = strlen(partial);
    while (length > 1 && partial[length - 1] == '/')
        partial[--length] = '\0';
    for (char *at = partial + 1; length > 0 && *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        bool made = make_one_directory(partial, 0755, err);
        *at = '/';
        if (!made)
            return false;
    }
    return make_one_directory(partial, mode, err);
}

static bool remove_content(int fd, dev_t device, unsigned depth, struct error *err);

static bool remove_directory(int parent, const char *name, dev_t device, unsigned depth,
                             struct error *err)
{
    struct stat status;
    CLEANUP(fd_closep)
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return errno == ENOENT || error_set_errno(err, errno, "open directory \"%s\"", name);
    if (depth > 0 && status.st_dev != device)
        return error_set(err, &FAULT_CONFLICT, "\"%s\" is another filesystem", name);
    if (depth >= TREE_DEPTH_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "\"%s\" lies too deep", name);
    if (!remove_content(fd, status.st_dev, depth, err))
        return depth == 0 ? false : error_prefix(err, "%s", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "remove directory \"%s\"", name);
    return true;
}

static bool remove_entry(int fd, const char *name, dev_t device, unsigned depth, struct error *err)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM) /* POSIX names EPERM for directories, Linux EISDIR */
        return error_set_errno(err, errno, "remove \"%s\"", name);
    return remove_directory(fd, name, device, depth + 1, err);
}

static void directory_closep(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

static bool remove_content(int fd, dev_t device, unsigned depth, struct error *err)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* closedir closes it */
    CLEANUP(directory_closep) DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (directory == NULL) {
        int number = errno;
        fd_closep(&own);
        return error_set_errno(err, number, "list directory");
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            return errno == 0 || error_set_errno(err, errno, "list directory");
        if (!remove_entry(fd, entry->d_name, device, depth, err))
            return false;
    }
}

bool file_remove_tree(const char *path, struct error *err)
{
    return remove_directory(AT_FDCWD, path, 0, 0, err) ||
           error_prefix(err, "remove tree \"%s\"", path);
}
