/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders that are models/pocket but for one file, which the test writes. */
#ifndef POCKET_FOLDER_H
#define POCKET_FOLDER_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a file in models/pocket. */
static inline void pocket_path(char path[static 600], const char *name)
{
    snprintf(path, 600, "%s/models/pocket/%s", getenv("SRCDIR") ? getenv("SRCDIR") : ".", name);
}

/* In dir, which is there and empty: a link to each part of pocket except one. */
static inline void link_pocket(const char *dir, const char *except)
{
    char from[600], to[600];
    const struct dirent *part;
    DIR *parts;

    pocket_path(from, "");
    ck_assert_ptr_nonnull(parts = opendir(from));
    while ((part = readdir(parts)) != NULL) {
        if (part->d_name[0] == '.' || strcmp(part->d_name, except) == 0) continue;
        pocket_path(from, part->d_name);
        snprintf(to, sizeof to, "%s/%s", dir, part->d_name);
        ck_assert_int_eq(symlink(from, to), 0);
    }
    closedir(parts);
}

#endif
