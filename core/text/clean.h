/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text as code points, for the passes of prompt cleaning. */
#ifndef SR_CLEAN_H
#define SR_CLEAN_H

#include "base/base.h"

struct sr_points {
    uint32_t *c;
    size_t n, room;
    bool failed;                /* no memory: everything after does nothing */
};

void sr_points_put(struct sr_points *to, uint32_t c);
void sr_points_free(struct sr_points *p);

struct sr_html_entity {
    const char *name;           /* without the semicolon */
    uint32_t c[2];              /* c[1] 0: one code point */
    bool bare;                  /* known without its semicolon too */
};
extern const struct sr_html_entity sr_html_entities[];
extern const size_t sr_html_entities_count;

/* As browsers and Python's html.unescape() do: the longest known name wins, a semicolon is not always needed. */
void sr_html_unescape(struct sr_points *to, const struct sr_points *from);
/* As ftfy does: only what ends in a semicolon, but also names of Latin letters typed in capitals (&EACUTE;). */
void sr_html_unescape_careful(struct sr_points *to, const uint32_t *c, size_t n);

/* Latin ligatures as their letters: how many (1: c itself) are put into out. */
int sr_ligature(uint32_t out[3], uint32_t c);
/* Windows-1252 in place of the control characters U+0080 .. U+009F. */
uint32_t sr_windows_1252(uint32_t c);

#endif
