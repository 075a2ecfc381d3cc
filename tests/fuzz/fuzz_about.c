/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sora.json: what is accepted lies within the limits that the pipeline counts on. */
#include <math.h>

#include "fuzz.h"
#include "models/about.h"

static char folder[] = "/tmp/sora-fuzz-about-XXXXXX", link_path[64];

static bool within(int64_t v, int64_t min, int64_t max)
{
    return v >= min && v <= max;
}

static bool falling(const double *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(t[i] > 0 && t[i] <= 1000 && (i == 0 || t[i] < t[i - 1]))) return false;
    return n <= SR_MAX_LIST;
}

static bool sane(const struct sr_about *a)
{
    const struct sr_about_sampler *s = &a->sampler;

    for (size_t i = 0; i < a->nspread; i++)
        if (!(a->spread[i] > 0 && isfinite(a->spread[i]) && a->spread_next[i] > 0 && isfinite(a->spread_next[i])))
            return false;
    return a->found && a->family[0] && within(a->width, 0, 16384) && within(a->height, 0, 16384) &&
           within(a->rate, 0, 1000) && within(a->frames, 0, 1000000) && within(a->chunk_latents, 0, 64) &&
           a->nwaves <= SR_MAX_WAVES && a->nspread <= SR_MAX_SPREAD && within(s->window, -1, SR_MAX_CACHED) &&
           within(s->sink, -1, SR_MAX_CACHED) && within(s->first_steps, 0, 1000) && within(s->next_steps, 0, 1000) &&
           s->context_time >= 0 && s->context_time <= 1 && falling(s->timesteps, s->nnext) &&
           falling(s->first_timesteps, s->nfirst) && !strchr(a->lora, '/') &&
           within(a->prompt_change, 0, SR_CHANGE_RECACHE);
}

static void try_about(const char *path, const uint8_t *data, size_t n)
{
    struct sr_about a;
    sora_error err = { 0 };

    if (!link_path[0]) {
        if (!mkdtemp(folder)) abort();
        snprintf(link_path, sizeof link_path, "%s/sora.json", folder);
        if (symlink(path, link_path)) abort();
    }
    if (sr_about_read(&a, folder, &err) < 0 ? !strstr(err.text, "sora.json") : !sane(&a)) abort();
}

int main(int argc, char **argv)
{
    const int r = fuzz_main(argc, argv, "about", 5000, try_about);

    unlink(link_path);
    rmdir(folder);
    return r;
}
