/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks behind URLs.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/http.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/tool/tool.h"
#include "migration/disk/vmdk.h"
#include "migration/disk/vmdk_stream.h"
#include "proto/fault.h"

#define HEADERS_MOST 32u
#define HEADERS_BYTES_MOST (64u << 10)

bool tool_is_http(const char *name)
{
    return strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0;
}

struct http_plan tool_http_plan(const char *url, const struct tool_options *options)
{
    return (struct http_plan){.url = url,
                              .headers = options->headers,
                              .ca_file = getenv("CURL_CA_BUNDLE"),
                              .memory_bytes = options->memory_bytes / 4};
}

bool tool_headers_read(const char *path, const char *const **ret_headers, struct error *err)
{
    static const char *headers[HEADERS_MOST + 1];
    static struct buffer text;
    size_t count = 0;
    char *rest = NULL;
    if (!file_read(path, HEADERS_BYTES_MOST, &text, err))
        return false;
    buffer_append(&text, "", 1);
    for (char *line = strtok_r(text.data, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        if (count == HEADERS_MOST || strchr(line, ':') == NULL)
            return error_set(err, &FAULT_INVALID, "\"%s\": lines of \"Name: value\", at most %u",
                             path, HEADERS_MOST);
        headers[count++] = line;
    }
    headers[count] = NULL;
    *ret_headers = headers;
    return true;
}

/* Takes bytes. */
static bool judge(struct disk *bytes, const char *format, bool once, struct disk **ret_disk,
                  struct error *err)
{
    if (strcmp(format, "vmdk") == 0)
        return once ? disk_vmdk_stream_open_over(bytes, ret_disk, err)
                    : disk_vmdk_open_over(bytes, ret_disk, err);
    if (strcmp(format, "gzip") == 0)
        return tool_open_gzip(bytes, ret_disk, err);
    if (strcmp(format, "qcow2") == 0 && !once)
        return disk_qcow2_read_open(bytes, ret_disk, err);
    if (strcmp(format, "raw") != 0) {
        error_set(err, &FAULT_UNSUPPORTED, "%s: %s is not read over HTTP%s: fetch it first",
                  disk_describe(bytes), format, once ? " without ranges" : "");
        disk_close(bytes);
        return false;
    }
    *ret_disk = bytes;
    return true;
}

static bool find_format(struct disk *bytes, const char **ret_format, struct error *err)
{
    char start[TOOL_MAGIC_BYTES] = {0};
    uint64_t size = disk_size_bytes(bytes);
    if (!disk_read(bytes, start, size < sizeof(start) ? (size_t)size : sizeof(start), 0, err))
        return false;
    *ret_format = tool_find_format(start);
    return true;
}

bool tool_open_http(const char *url, const struct tool_options *options, struct disk **ret_disk,
                    struct error *err)
{
    struct http_plan plan = tool_http_plan(url, options);
    struct disk *bytes = NULL;
    const char *format = options->from_format;
    bool once = !disk_http_open(&plan, &bytes, err);
    if (once && err->fault != &FAULT_UNSUPPORTED)
        return false;
    if (once && !disk_http_open_once(&plan, &bytes, err))
        return false;
    if (format == NULL && !find_format(bytes, &format, err)) {
        disk_close(bytes);
        return false;
    }
    if (once && options->from_format == NULL) { /* begin again: its first bytes are gone */
        disk_close(bytes);
        if (!disk_http_open_once(&plan, &bytes, err))
            return false;
    }
    return judge(bytes, format, once, ret_disk, err);
}
