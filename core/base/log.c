/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"

void sr_log(const struct sr_log *log, sora_log_level level, const char *fmt, ...)
{
    char line[1200];
    va_list ap;

    if (!log || !log->fn) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    log->fn(log->user, level, line);
}
