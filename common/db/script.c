/* SPDX-License-Identifier: Apache-2.0 */
#include "common/db/inside.h"

#include <string.h>

/* The end of a quoted text, which may hold doubled quotes and backslashes. */
static const char *skip_quoted(const char *text)
{
    char quote = *text++;
    while (*text != '\0' && *text != quote) {
        if (*text == '\\' && quote != '`' && text[1] != '\0')
            text++;
        text++;
    }
    return *text == '\0' ? text : text + 1;
}

static bool is_comment(const char *text)
{
    return text[0] == '-' && text[1] == '-' &&
           (text[2] == ' ' || text[2] == '\n' || text[2] == '\t' || text[2] == '\0');
}

/* The whole of what stands before ";" or the end; at least a character that is not blank. */
static bool has_words(const struct buffer *statement)
{
    return statement->length > 0 && strspn(statement->data, " \t\r\n") < statement->length;
}

bool script_next(const char **script, struct buffer *ret_statement)
{
    const char *at = *script;
    buffer_clear(ret_statement);
    while (*at != '\0') {
        const char *from = at;
        if (is_comment(at)) {
            at += strcspn(at, "\n");
            continue;
        }
        if (*at == ';') {
            at++;
            if (has_words(ret_statement))
                break;
            buffer_clear(ret_statement);
            continue;
        }
        at = *at == '\'' || *at == '"' || *at == '`' ? skip_quoted(at) : at + 1;
        buffer_append(ret_statement, from, (size_t)(at - from));
    }
    *script = at;
    return has_words(ret_statement);
}
