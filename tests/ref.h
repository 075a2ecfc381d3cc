/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the tests' reference files are. */
#ifndef REF_H
#define REF_H

#include <stdio.h>
#include <stdlib.h>

/* Of something in tests/ref; the last four stay valid. */
static inline const char *ref(const char *name)
{
    static char path[4][1000];
    static int turn;

    snprintf(path[++turn % 4], sizeof path[0], "%s/tests/ref/%s", getenv("SRCDIR") ? getenv("SRCDIR") : ".", name);
    return path[turn % 4];
}

#endif
