/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of control.json: {"end": "destination", "deed": "server", "key": "…", "attempt": 1, …} match
 * what they name (absent: anything); then "delay_ms" waits, "fault" (a code) fails, "probability"
 * (0 to 1) and "times" bound how often the rule counts.
 */
#include "migration/source/fake_world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"

#define SMALL_FILE_MOST_BYTES (256u << 10)

struct fake_world {
    struct work *work;
    int directory_fd;
    int lock_fd;
};

bool fake_world_open(struct work *work, const char *path, struct fake_world **ret_world,
                     struct error *err)
{
    static const char *const parts[] = {"vms", "snapshots", "disks", "servers", "rules"};
    CLEANUP(fd_closep) int fd = -1;
    if (!roots_open_for_write(work_roots(work), path, O_RDONLY | O_DIRECTORY, 0, &fd, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (mkdirat(fd, parts[i], 0755) != 0 && errno != EEXIST)
            return error_set_errno(err, errno, "making \"%s/%s\"", path, parts[i]);
    }
    int lock = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0)
        return error_set_errno(err, errno, "opening the lock of \"%s\"", path);
    struct fake_world *world = xcalloc(1, sizeof(*world));
    *world = (struct fake_world){work, fd, lock};
    fd = -1;
    *ret_world = world;
    return true;
}

void fake_world_close(struct fake_world *world)
{
    if (!world)
        return;
    fd_closep(&world->directory_fd);
    fd_closep(&world->lock_fd);
    free(world);
}

int fake_world_directory(const struct fake_world *world)
{
    return world->directory_fd;
}

bool fake_world_lock(struct fake_world *world, struct error *err)
{
    while (flock(world->lock_fd, LOCK_EX) != 0) {
        if (errno != EINTR)
            return error_set_errno(err, errno, "locking the fake world");
    }
    return true;
}

void fake_world_unlock(struct fake_world *world)
{
    flock(world->lock_fd, LOCK_UN);
}

bool fake_world_get(const struct fake_world *world, const char *name, struct buffer *ret_content,
                    bool *ret_exists, struct error *err)
{
    CLEANUP(fd_closep)
    int fd = openat(world->directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    *ret_exists = fd >= 0;
    if (fd < 0)
        return errno == ENOENT || error_set_errno(err, errno, "opening \"%s\"", name);
    if (fstat(fd, &status) != 0 || status.st_size > SMALL_FILE_MOST_BYTES)
        return error_set(err, &FAULT_TOO_LARGE, "\"%s\" is no small file", name);
    size_t size = (size_t)status.st_size;
    buffer_clear(ret_content);
    buffer_reserve(ret_content, size + 1);
    if (!file_pread_all(fd, ret_content->data, size, 0, err))
        return error_prefix(err, "\"%s\"", name);
    ret_content->length = size;
    ret_content->data[size] = '\0';
    return true;
}

bool fake_world_put(struct fake_world *world, const char *name, const char *content,
                    struct error *err)
{
    CLEANUP(xfreep) char *draft = xasprintf("%s.%d.draft", name, (int)getpid());
    CLEANUP(fd_closep)
    int fd = openat(world->directory_fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_errno(err, errno, "making \"%s\"", draft);
    if (!file_write_all(fd, content, strlen(content), err))
        return false;
    if (renameat(world->directory_fd, draft, world->directory_fd, name) != 0)
        return error_set_errno(err, errno, "making \"%s\"", name);
    return true;
}

bool fake_world_remove(struct fake_world *world, const char *name, bool *ret_existed,
                       struct error *err)
{
    *ret_existed = unlinkat(world->directory_fd, name, 0) == 0;
    return *ret_existed || errno == ENOENT || error_set_errno(err, errno, "removing \"%s\"", name);
}

bool fake_world_log(struct fake_world *world, enum end end, const char *deed, const char *key,
                    const char *detail, struct error *err)
{
    const struct token *token = work_token(world->work);
    json_t *line =
        json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s}", "at_us",
                  (json_int_t)clock_wall_us(), "mono_ms", (json_int_t)clock_mono_ms(), "owner",
                  UUID_TEXT(work_owner(world->work)), "job", UUID_TEXT(&token->job), "attempt",
                  (json_int_t)token->attempt, "run", (json_int_t)token->run, "end", end_name(end),
                  "deed", deed, "key", key, "detail", detail ? detail : "");
    CLEANUP(xfreep) char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    CLEANUP(xfreep) char *whole = xasprintf("%s\n", text ? text : "{}");
    CLEANUP(fd_closep)
    int fd = openat(world->directory_fd, "log",
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the fake world's log");
    return file_write_all(fd, whole, strlen(whole), err);
}

/* Whether a field of the rule is absent or says this. */
static bool says(const json_t *rule, const char *field, const char *value)
{
    const char *text = json_string_value(json_object_get(rule, field));
    return !text || strcmp(text, value) == 0;
}

static bool happens(const json_t *rule)
{
    const json_t *probability = json_object_get(rule, "probability");
    uint32_t dice = 0;
    if (!json_is_number(probability))
        return true;
    if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
        return false;
    return dice < json_number_value(probability) * 4294967296.0;
}

/* Counts the rule's uses over all processes; false once "times" are spent. */
static bool counts(struct fake_world *world, const json_t *rule, size_t index)
{
    const json_t *times = json_object_get(rule, "times");
    if (!json_is_integer(times))
        return true;
    struct error ignored;
    bool exists;
    CLEANUP(buffer_fini) struct buffer text = {0};
    const char *id = json_string_value(json_object_get(rule, "id"));
    CLEANUP(xfreep)
    char *name = id && !strchr(id, '/') ? xasprintf("rules/%s", id) : xasprintf("rules/%zu", index);
    if (!fake_world_get(world, name, &text, &exists, &ignored))
        return false;
    long long used = exists ? strtoll(text.data, NULL, 10) : 0;
    CLEANUP(xfreep) char *next = xasprintf("%lld\n", used + 1);
    return used < json_integer_value(times) && fake_world_put(world, name, next, &ignored);
}

static bool matches(struct fake_world *world, const json_t *rule, size_t index, enum end end,
                    const char *deed, const char *key)
{
    const struct token *token = work_token(world->work);
    const json_t *attempt = json_object_get(rule, "attempt");
    return says(rule, "end", end_name(end)) && says(rule, "deed", deed) && says(rule, "key", key) &&
           says(rule, "owner", UUID_TEXT(work_owner(world->work))) &&
           (!attempt || json_integer_value(attempt) == (json_int_t)token->attempt) &&
           happens(rule) && counts(world, rule, index);
}

/* What the rules say of a deed: how long it is under way, and whether it then fails. */
static bool judge(struct fake_world *world, enum end end, const char *deed, const char *key,
                  uint64_t *ret_delay_ms, const struct fault **ret_fault, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    bool exists;
    if (!fake_world_get(world, "control.json", &text, &exists, err))
        return false;
    json_t *rules = exists ? json_loadb(text.data, text.length, 0, NULL) : NULL;
    size_t index;
    json_t *rule;
    json_array_foreach(rules, index, rule) {
        if (!matches(world, rule, index, end, deed, key))
            continue;
        *ret_delay_ms += (uint64_t)json_integer_value(json_object_get(rule, "delay_ms"));
        const char *code = json_string_value(json_object_get(rule, "fault"));
        if (code)
            *ret_fault = fault_get(code);
    }
    json_decref(rules);
    return true;
}

/* The delay is not to be cancelled: the request is under way, whatever its sender does. */
bool fake_world_reach(struct fake_world *world, enum end end, const char *deed, const char *key,
                      struct error *err)
{
    uint64_t delay_ms = 0;
    const struct fault *fault = NULL;
    if (!fake_world_lock(world, err))
        return false;
    bool good = judge(world, end, deed, key, &delay_ms, &fault, err);
    fake_world_unlock(world);
    if (good && delay_ms > 0)
        clock_sleep_ms(delay_ms);
    if (good && fault)
        return error_set(err, fault, "the fake world says so for \"%s\" of \"%s\"", deed, key);
    return good;
}
