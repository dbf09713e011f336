/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a VMDK descriptor: "key = value" lines and extent lines.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

static bool invalid(struct error *err, const char *what, const char *line)
{
    return error_set(err, &FAULT_DISK_INVALID, "descriptor: %s: \"%.80s\"", what, line);
}

static bool is_component_outside(const char *component, size_t length)
{
    return length == 2 && component[0] == '.' && component[1] == '.';
}

bool vmdk_name_check(const char *name, struct error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > VMDK_NAME_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "descriptor: a file name of %zu bytes", length);
    bool outside = name[0] == '/' || strchr(name, '\\') != NULL ||
                   (isalpha((unsigned char)name[0]) && name[1] == ':');
    for (const char *at = name; !outside && *at != 0;) {
        size_t part = strcspn(at, "/");
        outside = is_component_outside(at, part);
        at += part + (at[part] == '/');
    }
    if (outside)
        return error_set(err, &FAULT_PATH_OUTSIDE, "\"%.200s\" leaves the directory of the disk",
                         name);
    return true;
}

/* Cuts one line out of the text; NULL at its end. Blanks around it are dropped. */
static char *next_line(char **text)
{
    if (*text == NULL || **text == 0)
        return NULL;
    char *line = *text;
    size_t length = strcspn(line, "\r\n");
    *text = line[length] != 0 ? line + length + 1 : line + length;
    line[length] = 0;
    while (*line == ' ' || *line == '\t')
        line++;
    for (char *end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t');)
        *--end = 0;
    return line;
}

/* "value" or value → value. */
static char *unquote(char *value)
{
    while (*value == ' ' || *value == '\t')
        value++;
    size_t length = strlen(value);
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value[length - 1] = 0;
        value++;
    }
    return value;
}

static bool parse_cid(const char *value, uint32_t *ret_cid, struct error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long cid = strtoull(value, &end, 16);
    if (errno != 0 || end == value || *end != 0 || cid > UINT32_MAX || *value == '-')
        return invalid(err, "not a content id", value);
    *ret_cid = (uint32_t)cid;
    return true;
}

static bool parse_short(const char *value, char *ret_text, size_t size, struct error *err)
{
    if (strlen(value) >= size)
        return invalid(err, "absurd value", value);
    snprintf(ret_text, size, "%s", value);
    return true;
}

static bool parse_setting(struct vmdk_descriptor *descriptor, char *line, struct error *err)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return true; /* nothing that we know */
    *equals = 0;
    char *value = unquote(equals + 1);
    size_t key_length = strcspn(line, " \t");
    line[key_length] = 0;
    if (strncasecmp(line, "encryption.", 11) == 0)
        return error_set(err, &FAULT_VM_ENCRYPTED, "the disk is encrypted");
    if (strcasecmp(line, "CID") == 0)
        return parse_cid(value, &descriptor->cid, err);
    if (strcasecmp(line, "parentCID") == 0)
        return parse_cid(value, &descriptor->parent_cid, err);
    if (strcasecmp(line, "createType") == 0)
        return parse_short(value, descriptor->create_type, sizeof(descriptor->create_type), err);
    if (strcasecmp(line, "encoding") == 0)
        return parse_short(value, descriptor->encoding, sizeof(descriptor->encoding), err);
    if (strcasecmp(line, "parentFileNameHint") == 0) {
        free(descriptor->parent_name);
        descriptor->parent_name = xstrdup(value);
    }
    return true;
}

static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    size_t length = strcspn(word, " \t");
    *rest = word[length] != 0 ? word + length + 1 : word + length;
    word[length] = 0;
    return word;
}

static bool parse_number(const char *word, uint64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(word, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*word) || *end != 0 || number > (1ull << 40))
        return false;
    *ret_number = number;
    return true;
}

static bool parse_kind(const char *word, enum vmdk_line_kind *ret_kind, struct error *err)
{
    static const struct {
        const char *word;
        enum vmdk_line_kind kind;
    } kinds[] = {
        {"FLAT", VMDK_LINE_FLAT},         {"VMFS", VMDK_LINE_FLAT},
        {"SPARSE", VMDK_LINE_SPARSE},     {"VMFSSPARSE", VMDK_LINE_COWD},
        {"SESPARSE", VMDK_LINE_SESPARSE}, {"ZERO", VMDK_LINE_ZERO},
    };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].word, word) == 0) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    return error_set(err, &FAULT_DISK_UNSUPPORTED, "an extent of kind \"%.40s\"", word);
}

/* `"name" offset` behind the kind; names may hold blanks, so quotes decide. */
static bool parse_place(char *rest, struct vmdk_line *extent, struct error *err)
{
    rest += strspn(rest, " \t");
    char *close = *rest == '"' ? strchr(rest + 1, '"') : NULL;
    if (close == NULL)
        return invalid(err, "an extent without a file name", rest);
    *close = 0;
    if (strlen(rest + 1) == 0 || strlen(rest + 1) > VMDK_NAME_MOST)
        return invalid(err, "an absurd file name", rest);
    char *behind = close + 1;
    char *word = next_word(&behind);
    if (*word != 0 && extent->kind == VMDK_LINE_FLAT &&
        !parse_number(word, &extent->offset_sectors))
        return invalid(err, "not an offset", word);
    extent->name = xstrdup(rest + 1);
    return true;
}

/* "RW 4192256 SPARSE "name.vmdk"" */
static bool parse_extent(struct vmdk_descriptor *descriptor, char *line, struct error *err)
{
    struct vmdk_line extent = {0};
    char *rest = line;
    const char *access = next_word(&rest);
    if (strcmp(access, "NOACCESS") == 0)
        return error_set(err, &FAULT_DISK_UNSUPPORTED, "an extent without access");
    const char *sectors = next_word(&rest);
    if (!parse_number(sectors, &extent.sectors) || extent.sectors == 0)
        return invalid(err, "not a number of sectors", sectors);
    if (descriptor->line_count == VMDK_EXTENTS_MOST)
        return invalid(err, "too many extents", sectors);
    if (!parse_kind(next_word(&rest), &extent.kind, err) ||
        (extent.kind != VMDK_LINE_ZERO && !parse_place(rest, &extent, err)))
        return false;
    if ((descriptor->line_count & (descriptor->line_count + 1)) == 0)
        descriptor->lines = xreallocarray(descriptor->lines, descriptor->line_count * 2 + 2,
                                          sizeof(*descriptor->lines));
    descriptor->lines[descriptor->line_count++] = extent;
    return true;
}

static bool is_extent(const char *line)
{
    size_t length = strcspn(line, " \t");
    return (length == 2 && strncmp(line, "RW", 2) == 0) ||
           (length == 6 && strncmp(line, "RDONLY", 6) == 0) ||
           (length == 8 && strncmp(line, "NOACCESS", 8) == 0);
}

static bool parse_lines(struct vmdk_descriptor *descriptor, char *text, struct error *err)
{
    for (char *line; (line = next_line(&text)) != NULL;) {
        if (*line == 0 || *line == '#')
            continue;
        if (is_extent(line) ? !parse_extent(descriptor, line, err)
                            : !parse_setting(descriptor, line, err))
            return false;
    }
    return true;
}

bool vmdk_descriptor_parse(const char *text, size_t length, struct vmdk_descriptor *ret_descriptor,
                           struct error *err)
{
    if (length > VMDK_DESCRIPTOR_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "a descriptor of %zu bytes", length);
    CLEANUP(buffer_fini) struct buffer copy = {0};
    buffer_append(&copy, text, strnlen(text, length));
    struct vmdk_descriptor descriptor = {.parent_cid = VMDK_NO_PARENT};
    if (copy.data == NULL || strncasecmp(copy.data, "# Disk DescriptorFile", 21) != 0)
        return error_set(err, &FAULT_DISK_INVALID, "neither a VMDK nor its descriptor");
    if (!parse_lines(&descriptor, copy.data, err)) {
        vmdk_descriptor_fini(&descriptor);
        return false;
    }
    *ret_descriptor = descriptor;
    return true;
}

void vmdk_descriptor_fini(struct vmdk_descriptor *descriptor)
{
    for (size_t i = 0; i < descriptor->line_count; i++)
        free(descriptor->lines[i].name);
    free(descriptor->lines);
    free(descriptor->parent_name);
    *descriptor = (struct vmdk_descriptor){0};
}
