/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "proto/fault.h"

bool pool_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KiB", 1ull << 10},
                 {"MiB", 1ull << 20},
                 {"GiB", 1ull << 30},
                 {"TiB", 1ull << 40},
                 {"KB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"TB", 1000000000000}};
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (end == text || errno != 0 || *text == '-')
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcasecmp(end, units[i].unit) == 0)
            return !__builtin_mul_overflow(number, units[i].bytes, ret_bytes);
    }
    return false;
}

/* Reads the id that a file holds. */
static bool read_id(const char *path, struct uuid *ret_id, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    if (!file_read(path, 64, &text, err))
        return false;
    if (text.length >= UUID_TEXT_SIZE - 1)
        text.data[UUID_TEXT_SIZE - 1] = '\0';
    if (text.length < UUID_TEXT_SIZE - 1 || !uuid_parse(text.data, ret_id))
        return error_set(err, &FAULT_CONFIG, "\"%s\" holds no id", path);
    return true;
}

/* Makes the file with a new id unless it is there; link(2) lets exactly one maker win. */
static bool make_id(const char *path, const char *directory, struct error *err)
{
    struct uuid id = uuid_new();
    CLEANUP(xfreep) char *draft = xasprintf("%s.%s", path, UUID_TEXT(&id));
    CLEANUP(xfreep) char *text = xasprintf("%s\n", UUID_TEXT(&id));
    if (!file_replace(draft, 0644, text, strlen(text), err))
        return false;
    bool good = link(draft, path) == 0 || errno == EEXIST ||
                error_set_errno(err, errno, "making \"%s\"", path);
    unlink(draft);
    return good && file_sync_directory(directory, err);
}

static bool get_id(const char *path, const char *directory, struct uuid *ret_id, struct error *err)
{
    if (access(path, F_OK) != 0 && !make_id(path, directory, err))
        return false;
    return read_id(path, ret_id, err);
}

static bool get_capacity(struct pool *pool, struct error *err)
{
    struct statvfs status;
    if (statvfs(pool->path, &status) != 0)
        return error_set_errno(err, errno, "measuring \"%s\"", pool->path);
    uint64_t whole = (uint64_t)status.f_blocks * status.f_frsize;
    if (pool->capacity_bytes == 0)
        pool->capacity_bytes = whole;
    return true;
}

bool pool_open(struct pool *pool, const char *text, const char *node_name, struct error *err)
{
    *pool = (struct pool){.path = xstrdup(text)};
    char *space = strrchr(pool->path, ' ');
    if (space && pool_parse_size(space + 1, &pool->capacity_bytes))
        *space = '\0';
    if (pool->path[0] != '/')
        return error_set(err, &FAULT_CONFIG, "pool \"%s\" is no absolute path", text);
    pool->jobs = xasprintf("%s/jobs/%s", pool->path, node_name);
    CLEANUP(xfreep) char *file = xasprintf("%s/pool.id", pool->path);
    return file_make_directory(pool->path, 0755, err) &&
           file_make_directory(pool->jobs, 0700, err) && get_id(file, pool->path, &pool->id, err) &&
           get_capacity(pool, err);
}

void pool_fini(struct pool *pool)
{
    free(pool->path);
    free(pool->jobs);
    *pool = (struct pool){0};
}

uint64_t pool_allocated_bytes(const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    uint64_t bytes = 0;
    if (!tree)
        return 0;
    for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
        if (entry->fts_info == FTS_F || entry->fts_info == FTS_D)
            bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
    }
    fts_close(tree);
    return bytes;
}

bool pool_measure(const struct pool *pool, struct pool_state *ret_state, struct error *err)
{
    struct statvfs status;
    if (statvfs(pool->path, &status) != 0)
        return error_set_errno(err, errno, "measuring \"%s\"", pool->path);
    CLEANUP(xfreep) char *jobs = xasprintf("%s/jobs", pool->path);
    ret_state->free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    ret_state->used_bytes = pool_allocated_bytes(jobs);
    return true;
}

bool pool_node_id(const struct pool *pool, const char *node_name, struct uuid *ret_id,
                  int *ret_lock, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/node-%s.id", pool->path, node_name);
    if (!get_id(path, pool->path, ret_id, err))
        return false;
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, &FAULT_NODE_NAME_TAKEN,
                         "another daemon runs as node \"%s\" in \"%s\"", node_name, pool->path);
    *ret_lock = fd;
    fd = -1;
    return true;
}

char *pool_job_path(const struct pool *pool, const struct token *token)
{
    return xasprintf("%s/%s-%u", pool->jobs, UUID_TEXT(&token->job), token->attempt);
}

bool pool_job_make(const struct pool *pool, const struct token *token, char **ret_path,
                   struct error *err)
{
    char *path = pool_job_path(pool, token);
    if (!file_make_directory(path, 0700, err) || !file_sync_directory(pool->jobs, err)) {
        free(path);
        return false;
    }
    *ret_path = path;
    return true;
}

bool pool_jobs_each(const struct pool *pool, void (*visit)(void *context, const char *path),
                    void *context, struct error *err)
{
    DIR *jobs = opendir(pool->jobs);
    if (!jobs)
        return error_set_errno(err, errno, "opening \"%s\"", pool->jobs);
    bool fine = true;
    for (const char *name; fine && (name = file_next_name(jobs, pool->jobs, &fine, err)) != NULL;) {
        CLEANUP(xfreep) char *path = xasprintf("%s/%s", pool->jobs, name);
        if (name[0] != '.')
            visit(context, path);
    }
    closedir(jobs);
    return fine;
}
