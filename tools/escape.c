/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two parsers of FFmpeg read the text of -f lavfi -i and -filter_complex: the graph's takes away one layer of escapes, the
 * filter's option list another.  Both eat white space at the ends unless it is escaped.  So it is escaped twice, the
 * option's layer first.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static char *escape(const char *text, const char *special)
{
    const size_t n = strlen(text);
    char *out = malloc(2 * n + 1), *o = out;

    if (!out) return NULL;
    for (size_t i = 0; i < n; i++) {
        const bool end = (i == 0 || i == n - 1) && strchr(" \n\t\r", text[i]);
        if (end || strchr(special, text[i])) *o++ = '\\';
        *o++ = text[i];
    }
    *o = 0;
    return out;
}

int cmd_escape(struct args *a)
{
    char *option = NULL, *graph = NULL;
    int r = EXIT_FAILED;

    if (a->n_rest != 1) {
        complain("escape: found %d arguments, wanted one; put the text in quotes", a->n_rest);
        return EXIT_USAGE;
    }
    if (!(option = escape(a->rest[0], "\\':")) || !(graph = escape(option, "\\'[],;"))) {
        complain("out of memory");
    } else {
        puts(graph);
        r = fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    }
    free(option);
    free(graph);
    return r;
}
