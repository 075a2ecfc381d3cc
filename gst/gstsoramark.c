/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The visible mark of AI-made video: "AI" on a dark plate in the lower right corner, a thirteenth of the picture high.
 * Drawn on a copy of what the session wrote, before any conversion, and so in every format with the same few lines.
 */
#include "config.h"

#include <math.h>

#include "gstsora.h"

#define COLUMNS 11              /* of the plate, in cells */
#define ROWS     9
#define PLATE 0.06              /* shades: 0 black, 1 white */
#define INK   0.92

static const char letters[ROWS][COLUMNS + 1] = {
    "...........",
    "..###..###.",
    ".#...#..#..",
    ".#...#..#..",
    ".#####..#..",
    ".#...#..#..",
    ".#...#..#..",
    ".#...#.###.",
    "...........",
};

GstBuffer *gst_sora_mark(GstBuffer *picture, const GstVideoInfo *master, const GstVideoRectangle *seen)
{
    const int cell = MAX(1, (int)lrint(MIN(seen->h / 120.0, seen->w / 160.0)));
    const int width = COLUMNS * cell, height = ROWS * cell;
    const int x = (seen->x + seen->w - width - 2 * cell) & ~1, y = (seen->y + seen->h - height - 2 * cell) & ~1;
    GstBuffer *marked = gst_buffer_copy_deep(picture);
    int row, column, end;
    GstVideoFrame f;

    if (!marked || x < seen->x || y < seen->y) return marked;       /* no room for it that an eye could use */
    if (!gst_video_frame_map(&f, master, marked, GST_MAP_READWRITE)) {
        gst_buffer_unref(marked);
        return NULL;
    }
    gst_sora_fill(&f, x, y, width, height, PLATE);
    for (row = 0; row < ROWS; row++)
        for (column = 0; column < COLUMNS; column = end + 1) {
            for (end = column; letters[row][end] == '#'; end++) { }
            if (end > column)
                gst_sora_fill(&f, x + column * cell, y + row * cell, (end - column) * cell, cell, INK);
        }
    gst_video_frame_unmap(&f);
    return marked;
}
