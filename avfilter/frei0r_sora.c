/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A frei0r source: libsora for hosts as installed, through FFmpeg's frei0r_src, GStreamer's frei0r-src-sora and MLT's
 * frei0r.sora.  What frei0r lacks shapes it: no call may fail, so errors are painted; hosts construct instances to look
 * at them, so nothing is opened before the first picture; they set every parameter before every picture, so an equal
 * value is no change; they disagree on the unit of time, so pictures are counted.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sora/sora.h>

#pragma GCC visibility push(default)        /* the header declares what we export */
#include <frei0r.h>
#pragma GCC visibility pop

#include "frei0r_font.h"

#define MAX_PARAMS 32

struct instance {
    pthread_mutex_t lock;                   /* hosts may set a parameter while another thread fetches a picture */
    int width, height;
    char *value[MAX_PARAMS];                /* as given; "": the model's own */
    sora_session *session;                  /* NULL: opened by the next picture */
    uint8_t *rgb;                           /* [height, width, 3], the newest picture */
    int reopen;                             /* a parameter changed that a running session cannot change */
    int painted;                            /* rgb shows an error: nothing more comes until a parameter changes */
};

/* ---- Parameters: the library's table, without what the host decides; prompt and model first ---- */

static int is_param(const sora_option *o)
{
    return strcmp(o->name, "size") && strcmp(o->name, "frames");
}

static const sora_option *param(int index)
{
    static const char *const first[] = { "prompt", "model" };

    if (index < 0) return NULL;
    for (const sora_option *o = sora_option_table(); o->name; o++) {
        const int is_first = !strcmp(o->name, first[0]) || !strcmp(o->name, first[1]);
        if (index < 2 ? !strcmp(o->name, first[index]) : !is_first && is_param(o) && index-- == 2) return o;
    }
    return NULL;
}

static int param_count(void)
{
    int n = 0;

    while (n < MAX_PARAMS && param(n)) n++;
    return n;
}

int f0r_init(void)
{
    return 1;
}

void f0r_deinit(void)
{
}

void f0r_get_plugin_info(f0r_plugin_info_t *info)
{
    info->name = "sora";
    info->author = "the authors of libsora";
    info->plugin_type = F0R_PLUGIN_TYPE_SOURCE;
    info->color_model = F0R_COLOR_MODEL_RGBA8888;
    info->frei0r_version = FREI0R_MAJOR_VERSION;
    info->major_version = SORA_VERSION_MAJOR;
    info->minor_version = SORA_VERSION_MINOR;
    info->num_params = param_count();
    info->explanation = "Generates video from a sentence";
}

void f0r_get_param_info(f0r_param_info_t *info, int index)
{
    const sora_option *o = param(index);

    info->name = o ? o->name : "";
    info->type = F0R_PARAM_STRING;          /* numbers too: frei0r's own go from 0 to 1 */
    info->explanation = o ? o->help : "";
}

f0r_instance_t f0r_construct(unsigned width, unsigned height)
{
    struct instance *f = calloc(1, sizeof *f);
    const int n = param_count();
    int ok;

    if (!f || !width || !height || width > 16384 || height > 16384) {
        free(f);
        return NULL;
    }
    pthread_mutex_init(&f->lock, NULL);
    f->width = (int)width;
    f->height = (int)height;
    ok = (f->rgb = calloc((size_t)height, (size_t)width * 3)) != NULL;
    for (int i = 0; i < n; i++) ok = (f->value[i] = strdup(param(i)->def)) && ok;
    if (ok) return f;
    f0r_destruct(f);
    return NULL;
}

void f0r_destruct(f0r_instance_t instance)
{
    struct instance *f = instance;

    sora_session_close(&f->session);
    for (int i = 0; i < MAX_PARAMS; i++) free(f->value[i]);
    free(f->rgb);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* ---- Pictures of errors ---- */

static void paint_char(struct instance *f, int x, int y, int scale, char c)
{
    const unsigned char *rows = font[(c < FONT_FIRST || c > FONT_LAST ? '?' : c) - FONT_FIRST];

    for (int j = 0; j < FONT_H * scale && y + j < f->height; j++)
        for (int i = 0; i < FONT_W * scale && x + i < f->width; i++)
            if (rows[j / scale] >> (FONT_W - 1 - i / scale) & 1)
                memset(f->rgb + ((size_t)(y + j) * (size_t)f->width + (size_t)(x + i)) * 3, 255, 3);
}

/* White on dark blue, broken between words where they fit. */
static void paint_error(struct instance *f, const char *text)
{
    const int scale = f->width >= 2 * 40 * FONT_W ? 2 : 1, margin = FONT_W * scale;
    const int columns = (f->width - 2 * margin) / (FONT_W * scale);
    int y = margin;

    for (size_t i = 0; i < (size_t)f->width * (size_t)f->height; i++) memcpy(f->rgb + 3 * i, "\x10\x18\x60", 3);
    for (; columns > 0 && *text; y += FONT_H * scale) {
        int n = (int)strnlen(text, (size_t)columns);
        if (text[n])
            for (int k = n; k > 0; k--)
                if (text[k] == ' ') {
                    n = k;
                    break;
                }
        for (int i = 0; i < n; i++) paint_char(f, margin + i * FONT_W * scale, y, scale, text[i]);
        text += n;
        while (*text == ' ') text++;
    }
    f->painted = 1;
}

/* ---- Work ---- */

void f0r_set_param_value(f0r_instance_t instance, f0r_param_t value, int index)
{
    struct instance *f = instance;
    const sora_option *o = param(index);
    const char *text = *(f0r_param_string *)value;
    sora_error err = { 0 };
    char *copy;

    if (!o || !text) return;
    pthread_mutex_lock(&f->lock);
    if (strcmp(text, f->value[index]) && (copy = strdup(text))) {
        free(f->value[index]);
        f->value[index] = copy;
        f->reopen |= strcmp(o->name, "prompt") || f->painted || !f->session ||
                     sora_session_set_prompt(f->session, copy, &err) < 0;
    }
    pthread_mutex_unlock(&f->lock);
}

void f0r_get_param_value(f0r_instance_t instance, f0r_param_t value, int index)
{
    struct instance *f = instance;

    if (param(index)) *(f0r_param_string *)value = f->value[index];
}

static sora_result open_session(struct instance *f, sora_error *err)
{
    sora_options o;
    sora_info info;
    sora_result r = SORA_OK;

    f->reopen = f->painted = 0;
    sora_session_close(&f->session);
    sora_options_init(&o);
    for (int i = 0; r == SORA_OK && f->value[i]; i++)
        if (*f->value[i]) r = sora_options_set(&o, param(i)->name, f->value[i], err);
    if (r < 0) return r;
    o.width = f->width;
    o.height = f->height;
    o.format = SORA_FORMAT_RGB24;
    if ((r = sora_session_open(&f->session, &o, err)) < 0) return r;
    sora_info_init(&info);
    sora_session_get_info(f->session, &info);
    if (!info.streams) return r;            /* a clip: its last picture stays */
    sora_session_close(&f->session);
    o.frames = 0;
    return sora_session_open(&f->session, &o, err);
}

void f0r_update(f0r_instance_t instance, double time, const uint32_t *in, uint32_t *out)
{
    struct instance *f = instance;
    const size_t n = (size_t)f->width * (size_t)f->height;
    uint8_t *rgba = (uint8_t *)out;
    sora_error err = { 0 };
    sora_frame frame;
    sora_result r = SORA_OK;

    (void)time;
    (void)in;
    pthread_mutex_lock(&f->lock);
    if (f->reopen || (!f->session && !f->painted)) r = open_session(f, &err);
    if (r == SORA_OK && !f->painted) {
        sora_frame_init(&frame);
        frame.data[0] = f->rgb;
        frame.stride[0] = 3 * (ptrdiff_t)f->width;
        r = sora_session_next(f->session, &frame, &err);
    }
    if (r < 0) {
        char text[sizeof err.text + 8];
        snprintf(text, sizeof text, "sora: %s", err.text);
        paint_error(f, text);
        sora_session_close(&f->session);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(rgba + 4 * i, f->rgb + 3 * i, 3);
        rgba[4 * i + 3] = 255;
    }
    pthread_mutex_unlock(&f->lock);
}
