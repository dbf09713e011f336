/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories of jobs in this node's conversion spaces that no node may ever clear: of a node that was
 * renamed or is gone for good, or removed in vain. This node does not judge them. It lists all that it
 * does not hold itself when the scheduler asks for that, and removes those that it names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/node_inside.h"
#include "migration/progress.h"

/* "node-1/1b4e28ba-2fa1-11d2-883f-0016d3cca427-3" */
static bool read_name(const char *name, struct token *ret_token)
{
    const char *slash = strchr(name, '/');
    size_t length = slash ? strlen(slash + 1) : 0;
    char id[UUID_TEXT_SIZE], *end;
    if (!slash || *name == '.' || length < UUID_TEXT_SIZE + 1)
        return false;
    CLEANUP(xfreep) char *node = xasprintf("%.*s", (int)(slash - name), name);
    memcpy(id, slash + 1, UUID_TEXT_SIZE - 1);
    id[UUID_TEXT_SIZE - 1] = '\0';
    const char *attempt = slash + UUID_TEXT_SIZE + 1;
    if (!topology_node_name_is_valid(node) || attempt[-1] != '-' || *attempt < '0' ||
        *attempt > '9' || !uuid_parse(id, &ret_token->job))
        return false;
    errno = 0;
    unsigned long number = strtoul(attempt, &end, 10);
    ret_token->attempt = (uint32_t)number;
    return errno == 0 && *end == '\0' && number <= UINT32_MAX;
}

static bool is_held(const struct node *node, const char *name, const struct token *token)
{
    size_t length = strlen(node->plan.node->name);
    bool is_ours = strncmp(name, node->plan.node->name, length) == 0 && name[length] == '/';
    const struct held *held = is_ours ? node_find(node, &token->job) : NULL;
    return held && held->token.attempt == token->attempt && held->state != HELD_GONE;
}

/* -- listing ---------------------------------------------------------------------------------------------- */

struct listing {
    const struct node *node;
    const struct pool *pool;
    struct arena *arena;
    Guts__V1__NodeReport *report;
};

/* Whose it was, where its journal still says so. */
static struct uuid owner_of(const char *path, struct arena *arena)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    struct assign assign = {0};
    struct error err;
    size_t length;
    const void *packed =
        progress_peek(path, &progress, &err) ? progress_job(progress, &length) : NULL;
    if (!packed || !assign_unpack(packed, length, arena, &assign, &err))
        assign.owner = (struct uuid){0};
    return assign.owner;
}

static bool list_directory(struct listing *listing, const char *name, struct error *err)
{
    Guts__V1__NodeReport *report = listing->report;
    struct token token;
    (void)err; /* each_in's callbacks have it */
    if (report->n_left == NODE_LEFT_MOST || !read_name(name, &token) ||
        is_held(listing->node, name, &token))
        return true;
    const char *path = arena_printf(listing->arena, "%s/jobs/%s", listing->pool->path, name);
    Guts__V1__LeftDirectory *left = arena_alloc(listing->arena, sizeof(*left));
    struct uuid *owner = arena_alloc(listing->arena, sizeof(*owner));
    *owner = owner_of(path, listing->arena);
    guts__v1__left_directory__init(left);
    left->name = arena_strdup(listing->arena, name);
    left->path = listing->pool->path;
    left->owner_id = codec_uuid_to(owner);
    left->allocated_bytes = pool_allocated_bytes(path);
    report->left[report->n_left++] = left;
    return true;
}

/* Calls `take` with what stands in a directory. Without a node's there is nothing; the pool's own, which
 * this node made, is missing only where the pool is not mounted. */
static bool each_in(struct listing *listing, const char *path, const char *prefix,
                    bool (*take)(struct listing *listing, const char *name, struct error *err),
                    struct error *err)
{
    DIR *directory = opendir(path);
    if (!directory)
        return (*prefix != '\0' && (errno == ENOENT || errno == ENOTDIR)) ||
               error_set_errno(err, errno, "opening \"%s\"", path);
    bool fine = true;
    for (const char *name; fine && (name = file_next_name(directory, path, &fine, err)) != NULL;) {
        CLEANUP(xfreep) char *whole = xasprintf("%s%s", prefix, name);
        fine = *name == '.' || take(listing, whole, err);
    }
    closedir(directory);
    return fine;
}

static bool list_node(struct listing *listing, const char *name, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/jobs/%s", listing->pool->path, name);
    CLEANUP(xfreep) char *prefix = xasprintf("%s/", name);
    return each_in(listing, path, prefix, list_directory, err);
}

/* What could not be looked through is no answer: it is asked for again. */
void node_put_left(const struct node *node, struct arena *arena, Guts__V1__NodeReport *report)
{
    struct error err;
    if (uuid_is_nil(&node->look))
        return;
    report->left = arena_calloc(arena, NODE_LEFT_MOST, sizeof(*report->left));
    for (size_t i = 0; i < node->pool_count; i++) {
        struct listing listing = {node, &node->pools[i], arena, report};
        CLEANUP(xfreep) char *jobs = xasprintf("%s/jobs", node->pools[i].path);
        if (each_in(&listing, jobs, "", list_node, &err))
            continue;
        log_fault(LOG_WARN_LEVEL, "pool_unreadable", &err);
        report->n_left = 0;
        return;
    }
    report->look = codec_uuid_to(&node->look);
}

/* -- removing ---------------------------------------------------------------------------------------------- */

/* A worker that still lives holds the lock on its directory. */
static bool remove_directory(const char *path, struct error *err)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT || error_set_errno(err, errno, "opening \"%s\"", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, &FAULT_IO, "a worker still holds \"%s\"", path);
    log_info("directory_removed", "\"%s\", which nobody held", path);
    return file_remove_tree(path, err);
}

void node_look(struct node *node, const Guts__V1__NodeControl *control)
{
    struct error err;
    struct token token;
    if (!codec_uuid(control->look, &node->look) || uuid_is_nil(&node->look))
        return;
    for (size_t i = 0; i < control->n_remove && i < NODE_LEFT_MOST; i++) {
        const char *name = control->remove[i];
        if (!read_name(name, &token) || is_held(node, name, &token))
            continue;
        for (size_t k = 0; k < node->pool_count; k++) {
            CLEANUP(xfreep) char *path = xasprintf("%s/jobs/%s", node->pools[k].path, name);
            if (!remove_directory(path, &err))
                log_fault(LOG_ERROR_LEVEL, "directory_stays", &err);
        }
    }
    node->report_soon = true;
}
