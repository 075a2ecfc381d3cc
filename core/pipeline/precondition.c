/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <sys/stat.h>

#include "pipeline/precondition.h"

void sr_precondition_velocity(const struct sr_precondition *p, float *v, const float *x, const float *mu, double t,
                              size_t n)
{
    for (size_t ch = 0; ch < p->C; ch++) {
        /* (x - x0) / t with the division carried out, so that nothing cancels at small t. */
        const double s = mu ? p->next[ch] : p->first[ch], q = (1 - t) * (1 - t) * s * s + t * t;
        const double skip = (t - (1 - t) * s * s) / q, out = s / sqrt(q);

        for (size_t i = ch * n; i < (ch + 1) * n; i++) {
            const double m = mu ? mu[i] : 0;
            v[i] = (float)(skip * (x[i] - (1 - t) * m) - m - out * v[i]);
        }
    }
}

static sora_result read_spread(const struct sr_config *c, const char *path, const char *key, double *out, size_t *n,
                               sora_error *err)
{
    sora_result r = sr_config_floats(c, key, out, SR_MAX_SPREAD, n, err);

    for (size_t i = 0; i < *n && r == SORA_OK; i++)
        if (!(out[i] > 1e-6 && out[i] < 1e6))
            r = sr_fail(err, SORA_ERR_MODEL, "%s: %s of channel %zu is %g; wanted: above 0, at most a million", path,
                        key, i, out[i]);
    return r;
}

static sora_result read_sampler(struct sr_stream_config *k, const struct sr_config *c, const char *path,
                                sora_error *err)
{
    int64_t first = 4, next = 4;
    double shift = 1, context = 0;
    char kind[32] = "euler";
    sora_result r;

    k->first_guidance = k->next_guidance = 1;
    k->window = 3;
    k->sink = 0;
    if ((r = sr_config_string(c, "sampler.kind", kind, sizeof kind, err)) < 0) return r;
    if (strcmp(kind, "euler"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: sampler.kind is \"%s\"; \"euler\" is supported", path, kind);
    if ((r = sr_config_float(c, "sampler.shift", 0.01, 1000, &shift, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.first_steps", 1, SR_MAX_STEPS, &first, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.next_steps", 1, SR_MAX_STEPS, &next, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.first_guidance", 0, 100, &k->first_guidance, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.next_guidance", 0, 100, &k->next_guidance, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.window", 0, 4096, &k->window, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.sink", 0, 4096, &k->sink, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.context_time", 0, 1, &context, err)) < 0) return r;
    sr_schedule_config_default(&k->schedule, SR_EULER, shift);
    k->schedule.grid = SR_GRID_EVEN;
    k->first_steps = (int)first;
    k->next_steps = (int)next;
    k->context_t = 1000 * context;
    return SORA_OK;
}

sora_result sr_stream_config_read(struct sr_stream_config *k, struct sr_precondition *p, bool *found,
                                  const char *folder, sora_error *err)
{
    struct sr_config *c = NULL;
    char *path = sr_asprintf("%s/sora.json", folder);
    struct stat st;
    size_t next = 0;
    sora_result r = SORA_OK;

    memset(k, 0, sizeof *k);
    memset(p, 0, sizeof *p);
    *found = false;
    if (!path) return sr_fail_nomem(err, strlen(folder) + 10, "a path");
    if (stat(path, &st) != 0) goto done;
    if ((r = sr_config_open(&c, path, err)) < 0) goto done;
    if (!sr_config_has(c, "sampler")) goto done;
    if ((r = read_sampler(k, c, path, err)) < 0) goto done;
    if ((r = read_spread(c, path, "spread", p->first, &p->C, err)) < 0) goto done;
    if ((r = read_spread(c, path, "spread_next", p->next, &next, err)) < 0) goto done;
    if (p->C != next) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: spread has %zu numbers, spread_next %zu; wanted: one for each channel",
                    path, p->C, next);
        goto done;
    }
    *found = true;
done:
    sr_config_close(&c);
    sr_free(path);
    return r;
}
