/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sora bench: the library measures and reports JSON; here it becomes a table for people. */
#include <jansson.h>
#include <string.h>

#include "cli.h"

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void row(const char *name, const json_t *o)
{
    const double s = number(o, "seconds"), flop = number(o, "flop");
    const json_t *share = json_object_get(o, "share");

    printf("  %-12s %10.4f s", name, s);
    if (flop > 0 && s > 0) printf(" %10.2f GFLOP %8.1f GFLOPS", flop * 1e-9, flop / s * 1e-9);
    if (json_is_number(share)) printf(" %5.1f %%", 100 * json_number_value(share));
    putchar('\n');
}

static void rows(const char *title, json_t *object)
{
    const char *name;
    json_t *o;

    printf("%s\n", title);
    json_object_foreach(object, name, o) row(name, o);
}

static void peaks(const char *title, const json_t *p)
{
    static const char *const names[] = { "f32", "bf16", "int8" };

    printf("%s", title);
    for (int i = 0; i < 3; i++)
        if (json_is_number(json_object_get(p, names[i]))) printf("  %s %.0f", names[i], number(p, names[i]));
    printf(" GFLOPS\n");
}

static void print(json_t *r)
{
    const json_t *size = json_object_get(r, "size");

    printf("%s, %s, %lld threads\n", json_string_value(json_object_get(r, "cpu")), json_string_value(json_object_get(r, "isa")),
           (long long)json_integer_value(json_object_get(r, "threads")));
    peaks("peak before", json_object_get(r, "peak_gflops"));
    peaks("peak after ", json_object_get(r, "peak_after_gflops"));
    printf("%s, %s, %lldx%lld, %lld frames\n", json_string_value(json_object_get(r, "model")),
           json_string_value(json_object_get(r, "precision")), (long long)json_integer_value(json_array_get(size, 0)),
           (long long)json_integer_value(json_array_get(size, 1)), (long long)json_integer_value(json_object_get(r, "frames")));
    rows("stages, share of the peak", json_object_get(r, "stages"));
    rows("kernels, one run of each stage", json_object_get(r, "kernels"));
    printf("peak memory   %.2f GiB\n", number(r, "peak_rss_bytes") / 1073741824);
}

int cmd_bench(struct args *a)
{
    struct progress *p;
    sora_error err = { 0 };
    char *json = NULL;
    json_t *root;
    int r = EXIT_FAILED;

    if (a->n_rest > 1) {
        complain("bench: found %d arguments, wanted one model or shape", a->n_rest);
        return EXIT_USAGE;
    }
    if (a->n_rest) a->o.model = a->rest[0];
    if (!(p = progress_new(PROGRESS_NONE, a->quiet || a->json, a->verbose))) return complain("out of memory"), EXIT_FAILED;
    a->o.log = progress_log;
    a->o.user = p;
    if (sora_bench(&a->o, a->stage, a->runs, &json, &err) < 0) {
        complain("%s", err.text);
        r = err.code == SORA_ERR_OPTION ? EXIT_USAGE : EXIT_FAILED;
    } else if (a->json) {
        r = puts(json) < 0 || fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    } else if ((root = json_loads(json, 0, NULL))) {
        print(root);
        json_decref(root);
        r = fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    }
    sora_free(json);
    progress_free(p);
    return r;
}
