/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"

sora_result sr_fail(sora_error *err, sora_result code, const char *fmt, ...)
{
    va_list ap;

    if (!err || err->code) return code;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    for (char *p = err->text; *p; p++)          /* names come from files: one line, no terminal escapes */
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
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
    char text[128];

    if (strerror_r(errnum, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", errnum);
    return sr_fail(err, code, "%s: %s: %s", path, what, text);
}
