/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sora info: what a model is and what it will take; which models there are. */
#include <inttypes.h>
#include <string.h>

#include "cli.h"

static int print_model(void *user, const char *name, const char *path)
{
    int *n = user;

    printf("%-24s %s\n", name, path);
    ++*n;
    return 0;
}

static int list_models(void)
{
    sora_error err = { 0 };
    int n = 0;

    if (sora_models(print_model, &n, &err) < 0) {
        complain("%s", err.text);
        return EXIT_FAILED;
    }
    if (n == 0) complain("no models found; put one into a folder of SORA_MODEL_PATH, or use model test");
    return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

/* 1234567890 -> "1.23 G" */
static const char *human(char *out, size_t size, double v, double k, const char *unit)
{
    static const char *const prefix[] = { "", "K", "M", "G", "T", "P", "E" };
    int i = 0;

    while (v >= k && i < 6) v /= k, i++;
    snprintf(out, size, i || v != (double)(int)v ? "%.2f %s%s%s" : "%.0f %s%s%s", v, i == 1 && k == 1000 ? "k" : prefix[i], i && k == 1024 ? "i" : "", unit);
    return out;
}

static void print_text(const sora_info *i)
{
    char b[64];

    printf("model        %s\n", i->model);
    printf("family       %s\n", i->family);
    if (i->parameters) printf("parameters   %s\n", human(b, sizeof b, (double)i->parameters, 1000, ""));
    if (i->types[0]) printf("types        %s\n", i->types);
    if (i->weight_bytes) printf("files        %s\n", human(b, sizeof b, (double)i->weight_bytes, 1024, "B"));
    printf("native       %dx%d\n", i->native_width, i->native_height);
    printf("rate         %g frames/s\n", (double)i->rate_num / i->rate_den);
    if (i->frames) printf("frames       %" PRId64 "\n", i->frames);
    else printf("frames       endless\n");
    if (i->streams) printf("streams      yes, %d frames at a time\n", i->chunk);
    else printf("streams      no\n");
    printf("sampling     %s, %d steps, guidance %g, shift %g\n", i->sampler, i->steps, (double)i->guidance, (double)i->shift);
    printf("precision    %s\n", i->precision);
    printf("threads      %d\n", i->threads);
    printf("memory       %s at %dx%d\n", human(b, sizeof b, (double)i->memory_bytes, 1024, "B"), i->width, i->height);
    if (i->flop > 0) printf("work         %s %s\n", human(b, sizeof b, i->flop, 1000, "FLOP"), i->frames ? "in all" : "a chunk");
    printf("licence      %s\n", i->licence[0] ? i->licence : "not stated");
}

/* Names come from files: quotes and controls are escaped. */
static void json_string(const char *name, const char *s)
{
    printf("\"%s\": \"", name);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') printf("\\%c", *s);
        else if ((unsigned char)*s < 0x20) printf("\\u%04x", (unsigned char)*s);
        else putchar(*s);
    }
    printf("\", ");
}

static void print_json(const sora_info *i)
{
    putchar('{');
    json_string("model", i->model);
    json_string("family", i->family);
    json_string("licence", i->licence);
    json_string("types", i->types);
    json_string("precision", i->precision);
    json_string("sampler", i->sampler);
    printf("\"parameters\": %" PRIu64 ", \"weight_bytes\": %" PRIu64 ", \"memory_bytes\": %" PRIu64 ", \"flop\": %.6g, ",
           i->parameters, i->weight_bytes, i->memory_bytes, i->flop);
    printf("\"native_size\": [%d, %d], \"size\": [%d, %d], \"rate\": [%d, %d], \"frames\": %" PRId64 ", \"chunk\": %d, ",
           i->native_width, i->native_height, i->width, i->height, i->rate_num, i->rate_den, i->frames, i->chunk);
    printf("\"streams\": %s, \"steps\": %d, \"guidance\": %g, \"shift\": %g, \"threads\": %d}\n", i->streams ? "true" : "false",
           i->steps, (double)i->guidance, (double)i->shift, i->threads);
}

int cmd_info(struct args *a)
{
    sora_session *s;
    sora_info info;
    sora_error err = { 0 };

    if (a->n_rest > 1) {
        complain("info: found %d arguments, wanted one model", a->n_rest);
        return EXIT_USAGE;
    }
    if (a->n_rest == 0 && !a->o.model) return list_models();
    if (a->n_rest) a->o.model = a->rest[0];
    a->o.prompt = "-";                                  /* a session wants one; nothing is made here */
    if (sora_session_open(&s, &a->o, &err) < 0) {
        complain("%s", err.text);
        return err.code == SORA_ERR_OPTION ? EXIT_USAGE : EXIT_FAILED;
    }
    sora_info_init(&info);
    sora_session_get_info(s, &info);
    if (a->json) print_json(&info);
    else print_text(&info);
    sora_session_close(&s);
    return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}
