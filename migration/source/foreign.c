/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/foreign.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "proto/fault.h"
#include "proto/text.h"

#define CHARSET_MOST 32

bool foreign_is_utf8(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = utf8_character(text + at, length - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

bool foreign_is_printable(const char *text)
{
    return text_is_printable(text, false);
}

/* Only names that a character set can have reach iconv_open, which looks for files by them. */
static bool charset_is_plain(const char *charset)
{
    size_t length = strlen(charset);
    if (length == 0 || length > CHARSET_MOST)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = (unsigned char)charset[i];
        if (!isalnum(letter) && letter != '-' && letter != '_' && letter != '.')
            return false;
    }
    return true;
}

/* What VMware calls them where iconv has another name. */
static const char *charset_name(const char *charset)
{
    static const char *const names[][2] = {
        {"windows-949", "CP949"},
        {"windows-932", "CP932"},
        {"windows-31j", "CP932"},
        {"Shift_JIS", "CP932"},
        {"GBK", "GB18030"},
        {"windows-936", "GB18030"},
        {"windows-950", "BIG5-HKSCS"},
        {"ibm-5348_P100-1997", "CP1252"},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcasecmp(charset, names[i][0]) == 0)
            return names[i][1];
    }
    return charset;
}

static bool convert_all(iconv_t converter, const char *data, size_t length, struct buffer *ret_text)
{
    char *from = (char *)(uintptr_t)data; /* iconv does not write through it */
    while (length > 0) {
        char out[4096], *to = out;
        size_t room = sizeof(out);
        size_t result = iconv(converter, &from, &length, &to, &room);
        buffer_append(ret_text, out, sizeof(out) - room);
        if (result == (size_t)-1 && errno != E2BIG)
            return false;
    }
    return true;
}

bool foreign_convert(const char *charset, const char *data, size_t length, struct buffer *ret_text,
                     struct error *err)
{
    if (!charset_is_plain(charset))
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "it names an impossible character set");
    if (strcasecmp(charset, "UTF-8") == 0) {
        if (!foreign_is_utf8(data, length))
            return error_set(err, &FAULT_VM_CONFIG_INVALID, "it says UTF-8 and is not");
        buffer_append(ret_text, data, length);
        return true;
    }
    iconv_t converter = iconv_open("UTF-8", charset_name(charset));
    if (converter == (iconv_t)-1)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "its character set \"%s\" is not known",
                         charset);
    bool converted = convert_all(converter, data, length, ret_text);
    iconv_close(converter);
    if (!converted)
        return error_set(err, &FAULT_VM_CONFIG_INVALID,
                         "its bytes do not fit its character set "
                         "\"%s\"",
                         charset);
    return true;
}

char *foreign_clean(struct arena *arena, const char *text, size_t most)
{
    if (text == NULL)
        return NULL;
    size_t length = strlen(text), kept = 0;
    char *clean = arena_alloc(arena, (length < most ? length : most) + 1);
    for (size_t at = 0; at < length;) {
        size_t step = utf8_character(text + at, length - at);
        bool odd =
            step == 0 || (unsigned char)text[at] < ' ' || text[at] == 0x7f ||
            (step == 2 && (unsigned char)text[at] == 0xc2 && (unsigned char)text[at + 1] < 0xa0);
        if (kept + (odd ? 1 : step) > most)
            break;
        if (odd)
            clean[kept++] = ' ';
        else
            memcpy(clean + kept, text + at, step), kept += step;
        at += step > 0 ? step : 1;
    }
    while (kept > 0 && clean[kept - 1] == ' ')
        kept--;
    clean[kept] = '\0';
    clean += strspn(clean, " ");
    return clean[0] != '\0' ? clean : NULL;
}

bool foreign_unsigned(const char *text, uint64_t *ret_number)
{
    if (text == NULL)
        return false;
    text += strspn(text, " \t");
    if (!isdigit((unsigned char)text[0]))
        return false;
    uint64_t number = 0;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
            return false;
    }
    if (text[strspn(text, " \t")] != '\0')
        return false;
    *ret_number = number;
    return true;
}

char *foreign_mac(struct arena *arena, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    if (text == NULL || strlen(text) != 17)
        return NULL;
    char mac[18] = "";
    for (size_t i = 0; i < 17; i++) {
        char letter = (char)tolower((unsigned char)text[i]);
        bool fits = i % 3 == 2 ? letter == ':' || letter == '-'
                               : letter != '\0' && strchr(digits, letter) != NULL;
        if (!fits)
            return NULL;
        mac[i] = i % 3 == 2 ? ':' : letter;
    }
    if ((strchr(digits, mac[1]) - digits) % 2 == 1 || strcmp(mac, "00:00:00:00:00:00") == 0)
        return NULL; /* a group address belongs to no card */
    return arena_strdup(arena, mac);
}

bool foreign_read(int fd, const char *shown, size_t most, struct buffer *ret_content,
                  struct error *err)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return error_set_errno(err, errno, "cannot look at \"%s\"", shown);
    if (!S_ISREG(facts.st_mode))
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "\"%s\" is no file", shown);
    if ((uint64_t)facts.st_size > most)
        return error_set(err, &FAULT_TOO_LARGE, "\"%s\" has %llu bytes, more than %zu", shown,
                         (unsigned long long)facts.st_size, most);
    size_t length = (size_t)facts.st_size;
    buffer_reserve(ret_content, length + 1);
    if (!file_pread_all(fd, ret_content->data + ret_content->length, length, 0, err))
        return error_prefix(err, "cannot read \"%s\"", shown);
    ret_content->length += length;
    ret_content->data[ret_content->length] = '\0';
    return true;
}
