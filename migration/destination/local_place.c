/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/local_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "proto/fault.h"

#define MARK_FILE ".guts"
#define PREFIX ".guts-"

void place_attempt_name(const struct place_mark *mark, char ret_name[PLACE_NAME_SIZE])
{
    snprintf(ret_name, PLACE_NAME_SIZE, PREFIX "%s-%" PRIu32, UUID_TEXT(&mark->migration),
             mark->attempt);
}

void place_server_name(const char *server_name, char ret_name[PLACE_NAME_SIZE])
{
    size_t length = utf8_cut(server_name, strlen(server_name), PLACE_NAME_SIZE - 1);
    memcpy(ret_name, server_name, length);
    ret_name[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = (unsigned char)ret_name[i];
        if (letter == '/' || letter < ' ' || letter == 0x7f || (i == 0 && letter == '.'))
            ret_name[i] = '_';
    }
    if (length == 0)
        strcpy(ret_name, "_");
}

bool place_exists(int root_fd, const char *name)
{
    struct stat facts;
    return fstatat(root_fd, name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
}

bool place_open(int root_fd, const char *name, int *ret_fd, struct error *err)
{
    int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open the directory \"%s\"", name);
    *ret_fd = fd;
    return true;
}

static bool parse_mark(const char *text, struct place_mark *ret_mark)
{
    char id[UUID_TEXT_SIZE];
    struct place_mark mark;
    return sscanf(text, "guts_migration=%36s attempt=%" SCNu32, id, &mark.attempt) == 2 &&
           uuid_parse(id, &mark.migration) && (*ret_mark = mark, true);
}

bool place_read_mark(int root_fd, const char *name, struct place_mark *ret_mark)
{
    CLEANUP(fd_closep)
    int directory = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(fd_closep)
    int fd = directory >= 0
                 ? openat(directory, MARK_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
                 : -1;
    char text[128];
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (length <= 0)
        return false;
    text[length] = '\0';
    return parse_mark(text, ret_mark);
}

static bool is_same(const struct place_mark *a, const struct place_mark *b)
{
    return uuid_equal(&a->migration, &b->migration) && a->attempt == b->attempt;
}

static bool write_mark(int directory_fd, const struct place_mark *mark, struct error *err)
{
    char text[128];
    int length = snprintf(text, sizeof(text), "guts_migration=%s attempt=%" PRIu32 "\n",
                          UUID_TEXT(&mark->migration), mark->attempt);
    CLEANUP(fd_closep)
    int fd = openat(directory_fd, MARK_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    0644);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot mark a directory");
    if (!file_write_all(fd, text, (size_t)length, err))
        return false;
    if (fsync(fd) != 0 || fsync(directory_fd) != 0)
        return error_set_errno(err, errno, "cannot mark a directory durably");
    return true;
}

bool place_make(int root_fd, const char *name, const struct place_mark *mark, int *ret_fd,
                struct error *err)
{
    struct place_mark found;
    bool made = mkdirat(root_fd, name, 0755) == 0;
    if (!made && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make the directory \"%s\"", name);
    CLEANUP(fd_closep) int fd = -1;
    if (!place_open(root_fd, name, &fd, err))
        return false;
    /* The name holds the migration's id and the attempt: one without a mark is ours too, from a run
     * that ended between the two steps. */
    if (!place_read_mark(root_fd, name, &found) && !write_mark(fd, mark, err))
        return false;
    if (place_read_mark(root_fd, name, &found) && !is_same(&found, mark))
        return error_set(err, &FAULT_CONFLICT, "the directory \"%s\" belongs to another", name);
    if (made && fsync(root_fd) != 0)
        return error_set_errno(err, errno, "cannot sync the directory of \"%s\"", name);
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool remove_tree(int root_fd, const char *name, struct error *err)
{
    char path[PLACE_NAME_SIZE + 64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", root_fd, name);
    return file_remove_tree(path, err);
}

bool place_remove(int root_fd, const char *name, const struct uuid *migration, bool *ret_found,
                  struct error *err)
{
    struct place_mark mark;
    char own[UUID_TEXT_SIZE + sizeof(PREFIX)];
    snprintf(own, sizeof(own), PREFIX "%s", UUID_TEXT(migration));
    bool by_name = strncmp(name, own, strlen(own)) == 0;
    *ret_found = false;
    if (!place_exists(root_fd, name) || (!by_name && (!place_read_mark(root_fd, name, &mark) ||
                                                      !uuid_equal(&mark.migration, migration))))
        return true;
    *ret_found = true;
    return remove_tree(root_fd, name, err);
}

static bool open_list(int root_fd, DIR **ret_directory, struct error *err)
{
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (*ret_directory != NULL)
        return true;
    int failed = errno;
    fd_closep(&fd);
    return error_set_errno(err, failed, "cannot list the destination's directory");
}

/* The next entry, or NULL at the end and, with *fine false, where the rest cannot be read. */
static const char *next_name(DIR *directory, bool *fine, struct error *err)
{
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (entry == NULL && errno != 0)
        *fine = error_set_errno(err, errno, "cannot list the destination's directory");
    return entry == NULL ? NULL : entry->d_name;
}

/* ".guts-<migration>-<attempt>" */
static bool parse_attempt_name(const char *name, struct place_mark *ret_mark)
{
    char id[UUID_TEXT_SIZE];
    size_t prefix = strlen(PREFIX);
    if (strncmp(name, PREFIX, prefix) != 0 || strlen(name) < prefix + UUID_TEXT_SIZE ||
        sscanf(name + prefix + UUID_TEXT_SIZE - 1, "-%" SCNu32, &ret_mark->attempt) != 1)
        return false;
    snprintf(id, sizeof(id), "%.36s", name + prefix);
    return uuid_parse(id, &ret_mark->migration);
}

bool place_each_mark(int root_fd, place_visit *visit, void *context, struct error *err)
{
    DIR *directory;
    bool fine = true;
    if (!open_list(root_fd, &directory, err))
        return false;
    for (const char *name; fine && (name = next_name(directory, &fine, err)) != NULL;) {
        struct place_mark mark;
        bool is_marked = name[0] == '.' ? parse_attempt_name(name, &mark)
                                        : place_read_mark(root_fd, name, &mark);
        if (is_marked)
            fine = visit(context, name, &mark, err);
    }
    closedir(directory);
    return fine;
}

/* Calls `deed` for each directory of an attempt of the migration. */
static bool each_attempt(int root_fd, const struct uuid *migration,
                         bool (*deed)(int root_fd, const char *name, void *context,
                                      struct error *err),
                         void *context, struct error *err)
{
    char prefix[PLACE_NAME_SIZE];
    snprintf(prefix, sizeof(prefix), PREFIX "%s-", UUID_TEXT(migration));
    DIR *directory;
    if (!open_list(root_fd, &directory, err))
        return false;
    bool fine = true;
    for (const char *name; fine && (name = next_name(directory, &fine, err)) != NULL;) {
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            fine = deed(root_fd, name, context, err);
    }
    closedir(directory);
    return fine;
}

static bool remove_other(int root_fd, const char *name, void *context, struct error *err)
{
    const char *own = context;
    return strcmp(name, own) == 0 || remove_tree(root_fd, name, err);
}

bool place_sweep(int root_fd, const struct place_mark *mark, struct error *err)
{
    char own[PLACE_NAME_SIZE];
    place_attempt_name(mark, own);
    return each_attempt(root_fd, &mark->migration, remove_other, own, err);
}

static bool remove_one(int root_fd, const char *name, void *context, struct error *err)
{
    size_t *removed = context;
    (*removed)++;
    return remove_tree(root_fd, name, err);
}

/* Servers are known by their mark alone: their names may have been anything. */
static bool remove_servers(int root_fd, const struct uuid *migration, size_t *removed,
                           struct error *err)
{
    DIR *directory;
    if (!open_list(root_fd, &directory, err))
        return false;
    bool fine = true;
    struct place_mark mark;
    for (const char *name; fine && (name = next_name(directory, &fine, err)) != NULL;) {
        if (name[0] != '.' && place_read_mark(root_fd, name, &mark) &&
            uuid_equal(&mark.migration, migration))
            fine = remove_one(root_fd, name, removed, err);
    }
    closedir(directory);
    return fine;
}

bool place_remove_all(int root_fd, const struct uuid *migration, size_t *ret_removed,
                      struct error *err)
{
    *ret_removed = 0;
    return each_attempt(root_fd, migration, remove_one, ret_removed, err) &&
           remove_servers(root_fd, migration, ret_removed, err);
}

bool place_unmark(int root_fd, const char *name, const struct uuid *migration, struct error *err)
{
    struct place_mark mark;
    CLEANUP(fd_closep) int fd = -1;
    if (!place_read_mark(root_fd, name, &mark) || !uuid_equal(&mark.migration, migration))
        return true;
    if (!place_open(root_fd, name, &fd, err))
        return false;
    if ((unlinkat(fd, MARK_FILE, 0) != 0 && errno != ENOENT) || fsync(fd) != 0)
        return error_set_errno(err, errno, "cannot take the mark off \"%s\"", name);
    return true;
}

struct disk_removal {
    const char *name; /* without its format */
    bool found;
};

static bool remove_disk(int root_fd, const char *name, void *context, struct error *err)
{
    static const char *const formats[] = {"qcow2", "raw"};
    struct disk_removal *removal = context;
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        CLEANUP(xfreep) char *path = xasprintf("%s/%s.%s", name, removal->name, formats[i]);
        if (unlinkat(root_fd, path, 0) == 0)
            removal->found = true;
        else if (errno != ENOENT)
            return error_set_errno(err, errno, "cannot remove \"%s\"", path);
    }
    return true;
}

bool place_remove_disk(int root_fd, const char *disk, const struct uuid *migration, bool *ret_found,
                       struct error *err)
{
    struct disk_removal removal = {.name = disk};
    if (!each_attempt(root_fd, migration, remove_disk, &removal, err))
        return false;
    *ret_found = removal.found;
    return true;
}

/* The former server of this migration gets the attempt's name, and goes. */
static bool replace_own(int root_fd, const char *attempt, const char *server, struct error *err)
{
    if (renameat2(root_fd, attempt, root_fd, server, RENAME_EXCHANGE) != 0)
        return error_set_errno(err, errno, "cannot put \"%s\" in its place", server);
    return remove_tree(root_fd, attempt, err);
}

/* Deployed by an earlier run. If that ended right after the exchange, the attempt's name still holds the
 * former server: to exchange again would bring that back and remove the new one. */
static bool drop_former(int root_fd, const char *attempt, struct error *err)
{
    if (place_exists(root_fd, attempt) && !remove_tree(root_fd, attempt, err))
        return false;
    return fsync(root_fd) == 0 || error_set_errno(err, errno, "cannot sync \"%s\"", attempt);
}

bool place_deploy(int root_fd, const struct place_mark *mark, const char *server, struct error *err)
{
    char attempt[PLACE_NAME_SIZE];
    struct place_mark found;
    place_attempt_name(mark, attempt);
    bool ours =
        place_read_mark(root_fd, server, &found) && uuid_equal(&found.migration, &mark->migration);
    if (ours && found.attempt == mark->attempt)
        return drop_former(root_fd, attempt, err);
    if ((ours && found.attempt > mark->attempt) || !place_exists(root_fd, attempt))
        return error_set(err, &FAULT_FENCED, "what this attempt had made is gone");
    if (renameat2(root_fd, attempt, root_fd, server, RENAME_NOREPLACE) != 0) {
        if (errno != EEXIST)
            return error_set_errno(err, errno, "cannot put \"%s\" in its place", server);
        if (!ours)
            return error_set(err, &FAULT_SERVER_EXISTS, "\"%s\" exists already", server);
        if (!replace_own(root_fd, attempt, server, err))
            return false;
    }
    if (fsync(root_fd) != 0)
        return error_set_errno(err, errno, "cannot sync the directory of \"%s\"", server);
    return true;
}
