/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model folders for tests, put together from the parts in tests/ref.  Include it last: `folder` is a common name. */
#ifndef FOLDER_H
#define FOLDER_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ref.h"

static char folder[64];         /* of the running test, from folder_make() to folder_remove() */

static inline const char *in_folder(const char *name)
{
    static char path[4][200];
    static int turn;

    snprintf(path[++turn % 4], sizeof path[0], "%s/%s", folder, name);
    return path[turn % 4];
}

/* links: what of tests/ref, and as what */
static inline void folder_make(const char *const (*links)[2], size_t n)
{
    snprintf(folder, sizeof folder, "/tmp/sora-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < n; i++) ck_assert_int_eq(symlink(ref(links[i][0]), in_folder(links[i][1])), 0);
}

static inline void folder_remove(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* A file in place of what may be there. */
static inline void write_text(const char *path, const char *text)
{
    FILE *f;

    unlink(path);
    ck_assert((f = fopen(path, "w")) && fputs(text, f) >= 0 && fclose(f) == 0);
}

#endif
