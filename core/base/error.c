/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"

/* How many bytes of UTF-8 start at p and are fit to show; 0: none. */
static int printable(const unsigned char *p)
{
    const int n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                : p[0] >= 0xf0 && p[0] < 0xf5                ? 4 : 0;

    if (n == 1) return p[0] >= 0x20 && p[0] != 0x7f;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) return 0;                /* U+0080 ..: U+009B starts terminal escapes */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;       /* overlong; surrogates */
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;       /* overlong; beyond U+10FFFF */
    return n;
}

/* Names come from files, and the end may have cut a character: one line of UTF-8 without terminal escapes. */
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p;) {
        const int n = printable(p);
        if (!n) *p = '?';
        p += n ? n : 1;
    }
}

sora_result sr_fail(sora_error *err, sora_result code, const char *fmt, ...)
{
    va_list ap;

    if (!err || err->code) return code;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    make_printable(err->text);
    return code;
}

sora_result sr_fail_nomem(sora_error *err, size_t bytes, const char *what)
{
    return sr_fail(err, SORA_ERR_NOMEM, "%s: no memory for %zu bytes", what, bytes);
}

sora_result sr_fail_errno(sora_error *err, int errnum, const char *path, const char *what)
{
    const sora_result code = errnum == ENOENT || errnum == ENOTDIR    ? SORA_ERR_NOT_FOUND
                             : errnum == EACCES || errnum == EPERM || errnum == EROFS ? SORA_ERR_ACCESS
                             : errnum == ENOMEM                       ? SORA_ERR_NOMEM
                                                                      : SORA_ERR_IO;
    const size_t n = strlen(path), shown = 500;      /* what follows a long path is the message: its end must not be cut */
    char text[128];

    if (strerror_r(errnum, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", errnum);
    return sr_fail(err, code, "%s%s: %s: %s", n > shown ? "..." : "", n > shown ? path + n - shown : path, what, text);
}
