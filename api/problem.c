/* SPDX-License-Identifier: Apache-2.0 */
#include "api/problem.h"

#include <stdio.h>

#include "proto/fault.h"

static void write_errors(struct writer *writer, const struct reader *reader)
{
    if (reader == NULL || reader->error_count == 0)
        return;
    writer_array_begin(writer, "errors");
    for (size_t i = 0; i < reader->error_count && i < READER_ERRORS_MOST; i++) {
        writer_object_begin(writer, NULL);
        writer_text(writer, "pointer", reader->errors[i].pointer);
        writer_text(writer, "detail", reader->errors[i].detail);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

void problem_write(struct buffer *body, const struct error *err, const struct reader *reader,
                   const char *instance, const char *request_id)
{
    const struct fault *fault = err->fault;
    char type[96] = "urn:guts:fault:";
    struct writer writer;
    snprintf(type, sizeof(type), "urn:guts:fault:%s", fault->code);
    writer_init(&writer, body);
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "type", type);
    writer_text(&writer, "title", fault->title);
    writer_unsigned(&writer, "status", fault->http_status);
    writer_text(&writer, "code", fault->code);
    if (fault != &FAULT_INTERNAL && err->text[0] != '\0')
        writer_text(&writer, "detail", err->text);
    writer_text(&writer, "hint", fault->hint);
    writer_text(&writer, "instance", instance);
    writer_text(&writer, "request_id", request_id);
    write_errors(&writer, reader);
    writer_object_end(&writer);
}

void problem_write_fault(struct writer *writer, const char *key, const char *code, const char *text)
{
    if (code == NULL || code[0] == '\0') {
        writer_null(writer, key);
        return;
    }
    const struct fault *fault = fault_get(code);
    writer_object_begin(writer, key);
    writer_text(writer, "code", code);
    writer_text(writer, "title", fault->title);
    writer_text(writer, "detail", text);
    writer_text(writer, "hint", fault->hint);
    writer_object_end(writer);
}
