/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/root.h"
#include "proto/fault.h"

struct scan {
    const char *const *suffixes;
    struct work *work;
    struct arena *arena;
    const char **paths;
    size_t count, capacity;
    size_t entries;
    size_t unreadable;
    struct error *err;
};

static bool matches(const struct scan *scan, const char *name)
{
    size_t length = strlen(name);
    for (const char *const *suffix = scan->suffixes; *suffix != NULL; suffix++) {
        size_t tail = strlen(*suffix);
        if (length > tail && strcasecmp(name + length - tail, *suffix) == 0)
            return true;
    }
    return false;
}

static bool keep(struct scan *scan, const char *path)
{
    if (scan->count == SCAN_FOUND_MOST)
        return error_set(scan->err, &FAULT_TOO_LARGE, "more than %d machines in one directory",
                         SCAN_FOUND_MOST);
    if (scan->count == scan->capacity) {
        scan->capacity = scan->capacity * 2 + 64;
        scan->paths = xreallocarray(scan->paths, scan->capacity, sizeof(*scan->paths));
    }
    scan->paths[scan->count++] = arena_strdup(scan->arena, path);
    return true;
}

/* What may not be read is counted; what is no longer as its directory said has gone. */
static bool pass_over(struct scan *scan, int number, const char *path)
{
    if (number == ENOENT || number == ENOTDIR || number == ELOOP)
        return true;
    if (number != EACCES && number != EPERM)
        return error_set_errno(scan->err, number, "cannot read the directory \"%.200s\"", path);
    scan->unreadable++;
    return true;
}

/* Machines that an earlier look found there are not gone for that. */
static void tell_unreadable(const struct scan *scan)
{
    if (scan->unreadable == 0)
        return;
    work_note(scan->work,
              "%zu directories or files could not be read: what was seen there stays listed",
              scan->unreadable);
    work_mark_partial(scan->work);
}

static bool walk(struct scan *scan, int directory_fd, const char *path, unsigned depth);

static bool enter(struct scan *scan, int parent_fd, const char *name, const char *path,
                  unsigned depth)
{
    if (depth == SCAN_DEPTH_MOST)
        return true;
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? pass_over(scan, errno, path) : walk(scan, fd, path, depth + 1);
}

static bool look_at(struct scan *scan, int directory_fd, const char *name, const char *prefix,
                    unsigned depth)
{
    struct stat facts;
    if (++scan->entries > SCAN_ENTRIES_MOST)
        return error_set(scan->err, &FAULT_TOO_LARGE, "more than %d files in one directory",
                         SCAN_ENTRIES_MOST);
    if (scan->entries % 256 == 0 && !work_go_on(scan->work, scan->err))
        return false;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] != '\0' ? "/" : "", name);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        scan->unreadable++;
        return true;
    }
    if (fstatat(directory_fd, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return pass_over(scan, errno, path);
    if (S_ISDIR(facts.st_mode))
        return enter(scan, directory_fd, name, path, depth);
    return !S_ISREG(facts.st_mode) || !matches(scan, name) || keep(scan, path);
}

/* Takes the descriptor. */
static bool walk(struct scan *scan, int directory_fd, const char *path, unsigned depth)
{
    DIR *directory = fdopendir(directory_fd);
    if (directory == NULL) {
        int number = errno;
        close(directory_fd);
        return pass_over(scan, number, path);
    }
    bool fine = true;
    struct dirent *entry;
    errno = 0;
    while (fine && (entry = readdir(directory)) != NULL) {
        fine = look_at(scan, dirfd(directory), entry->d_name, path, depth);
        errno = 0;
    }
    fine = fine && (errno == 0 || pass_over(scan, errno, path));
    closedir(directory);
    return fine;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool scan_tree(int directory_fd, const char *const *suffixes, struct work *work,
               struct arena *arena, struct scan_result *ret_result, struct error *err)
{
    struct scan scan = {.suffixes = suffixes, .work = work, .arena = arena, .err = err};
    int fd = -1;
    if (!roots_open_beneath(directory_fd, ".", O_RDONLY | O_DIRECTORY, &fd, err))
        return false;
    bool fine = walk(&scan, fd, "", 0);
    if (fine) {
        if (scan.count > 0)
            qsort(scan.paths, scan.count, sizeof(*scan.paths), compare);
        *ret_result = (struct scan_result){
            .paths = arena_memdup(arena, scan.paths, scan.count * sizeof(*scan.paths)),
            .count = scan.count,
        };
        tell_unreadable(&scan);
    }
    free(scan.paths);
    return fine;
}
