/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <sys/stat.h>

#include "models/about.h"

static const char *const keys[] = {
    "format", "family", "licence", "preset", "width", "height", "rate", "frames", "latent", "guidance", "steps",
    "text_tokens", "position_waves", "spread", "spread_next", "still", "still_bias", "chunk_latents", "chunk_frames", "prompt_change",
    "sampler", "lora", "lora_next", "lora_scale", "motion",
    /* for people who read it: other files say the same to us */
    "text_unknown", "inputs", "position_channels",
};
enum { SCHEDULE_KEYS = 8 };     /* of the next, the first ones: they make a schedule */
static const char *const sampler_keys[] = {
    "kind", "shift", "first_steps", "next_steps", "turn_steps", "first_timesteps", "timesteps", "renoise_until",
    "first_guidance", "next_guidance", "turn_guidance", "guidance_interval", "guidance_parallel", "window", "sink", "context_time",
    "change_noise", "retouch_time", "retouch_change", "turn_every", "cache",
};

/* The name of a file beside this one. */
static sora_result read_file_name(char *out, size_t size, const struct sr_config *c, const char *path, const char *key, sora_error *err)
{
    sora_result r = sr_config_string(c, key, out, size, err);

    if (r == SORA_OK && strchr(out, '/'))
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %s is \"%s\"; wanted: the name of a file in the same folder", path, key, out);
    return r;
}

static sora_result read_size(struct sr_about *a, const struct sr_config *c, const char *path, sora_error *err)
{
    int64_t format = 1;
    size_t n = 0;
    sora_result r;

    if ((r = sr_config_int(c, "format", 1, 1, &format, err)) < 0) return r;
    if ((r = sr_config_string(c, "family", a->family, sizeof a->family, err)) < 0) return r;
    if (!a->family[0])
        return sr_fail(err, SORA_ERR_MODEL, "%s: family is missing; wanted: \"wan\" or \"pocket\"", path);
    if ((r = sr_config_string(c, "licence", a->licence, sizeof a->licence, err)) < 0) return r;
    if ((r = sr_config_string(c, "preset", a->preset, sizeof a->preset, err)) < 0) return r;
    if ((r = sr_config_int(c, "width", 16, 16384, &a->width, err)) < 0) return r;
    if ((r = sr_config_int(c, "height", 16, 16384, &a->height, err)) < 0) return r;
    if ((r = sr_config_int(c, "rate", 1, 1000, &a->rate, err)) < 0) return r;
    if ((r = sr_config_int(c, "frames", 1, 1000000, &a->frames, err)) < 0) return r;
    if ((r = sr_config_ints(c, "latent", 1, 16384, a->latent, SR_COUNT(a->latent), &n, err)) < 0) return r;
    if (n && n != SR_COUNT(a->latent))
        return sr_fail(err, SORA_ERR_MODEL, "%s: latent has %zu numbers; wanted: channels, rows, columns", path, n);
    if ((r = sr_config_float(c, "guidance", 0, 100, &a->guidance, err)) < 0) return r;
    if ((r = sr_config_int(c, "steps", 1, 1000, &a->steps, err)) < 0) return r;
    if ((r = read_file_name(a->lora, sizeof a->lora, c, path, "lora", err)) < 0) return r;
    if ((r = read_file_name(a->lora_next, sizeof a->lora_next, c, path, "lora_next", err)) < 0) return r;
    if ((r = read_file_name(a->motion, sizeof a->motion, c, path, "motion", err)) < 0) return r;
    if (sr_config_has(c, "lora_scale") && !a->lora[0] && !a->lora_next[0])
        return sr_fail(err, SORA_ERR_MODEL, "%s: lora_scale is there, lora is not; wanted: the name of a file", path);
    a->lora_scale = 1;
    return sr_config_float(c, "lora_scale", -100, 100, &a->lora_scale, err);
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

/* A square matrix and a vector, of as many channels as spread, or neither. */
static sora_result read_still(struct sr_about *a, const struct sr_config *c, const char *path, sora_error *err)
{
    size_t n = 0, nbias = 0;
    sora_result r;

    if ((r = sr_config_floats(c, "still", a->still, SR_COUNT(a->still), &n, err)) < 0) return r;
    if ((r = sr_config_floats(c, "still_bias", a->still_bias, SR_COUNT(a->still_bias), &nbias, err)) < 0) return r;
    a->has_still = n > 0;
    if ((n || nbias) && (n != a->nspread * a->nspread || nbias != a->nspread))
        return sr_fail(err, SORA_ERR_MODEL, "%s: still has %zu numbers, still_bias %zu; wanted for %zu channels: %zu and %zu", path, n,
                       nbias, a->nspread, a->nspread * a->nspread, a->nspread);
    for (size_t i = 0; i < n + nbias; i++) {
        const double v = i < n ? a->still[i] : a->still_bias[i - n];
        if (!(v > -1e3 && v < 1e3))
            return sr_fail(err, SORA_ERR_MODEL, "%s: number %zu of %s is %g; wanted: between -1000 and 1000", path,
                           i < n ? i : i - n, i < n ? "still" : "still_bias", v);
    }
    return SORA_OK;
}

/* What the pocket models have. */
static sora_result read_pocket(struct sr_about *a, const struct sr_config *c, const char *path, sora_error *err)
{
    int64_t unused = 0;
    size_t next = 0;
    sora_result r;

    if ((r = sr_config_int(c, "text_tokens", 1, 4096, &a->text_tokens, err)) < 0) return r;
    if ((r = sr_config_int(c, "text_unknown", 0, INT32_MAX, &unused, err)) < 0) return r;
    if ((r = sr_config_int(c, "position_channels", 0, 4 * SR_MAX_WAVES, &unused, err)) < 0) return r;
    if ((r = sr_config_floats(c, "position_waves", a->waves, SR_MAX_WAVES, &a->nwaves, err)) < 0) return r;
    if (!strcmp(a->family, "pocket") && !a->nwaves)
        return sr_fail(err, SORA_ERR_MODEL, "%s: position_waves is missing; wanted: a list of numbers", path);
    if ((r = read_spread(c, path, "spread", a->spread, &a->nspread, err)) < 0) return r;
    if ((r = read_spread(c, path, "spread_next", a->spread_next, &next, err)) < 0) return r;
    if (a->nspread != next)
        return sr_fail(err, SORA_ERR_MODEL, "%s: spread has %zu numbers, spread_next %zu; wanted: one for each channel",
                       path, a->nspread, next);
    return read_still(a, c, path, err);
}

/* One of the words, as its number; absent: *out keeps its value. */
static sora_result read_word(const struct sr_config *c, const char *path, const char *key, const char *const *words,
                             int n, const char *wanted, int *out, sora_error *err)
{
    char s[32] = "";
    sora_result r = sr_config_string(c, key, s, sizeof s, err);

    if (r < 0 || !s[0]) return r;
    for (int i = 0; i < n; i++)
        if (!strcmp(s, words[i])) {
            *out = i;
            return SORA_OK;
        }
    return sr_fail(err, SORA_ERR_MODEL, "%s: %s is \"%s\"; wanted: %s", path, key, s, wanted);
}

static sora_result read_timesteps(const struct sr_config *c, const char *path, const char *key, double *out, size_t *n,
                                  sora_error *err)
{
    sora_result r = sr_config_floats(c, key, out, SR_MAX_LIST, n, err);

    for (size_t i = 0; i < *n && r == SORA_OK; i++)
        if (!(out[i] > 0 && out[i] <= 1000 && (i == 0 || out[i] < out[i - 1])))
            r = sr_fail(err, SORA_ERR_MODEL, "%s: entry %zu of %s is %g; wanted: falling numbers above 0, at most 1000",
                        path, i, key, out[i]);
    return r;
}

/* Two noise levels; absent: *out keeps its values. */
static sora_result read_interval(const struct sr_config *c, const char *path, const char *key, double out[2], sora_error *err)
{
    size_t n = 2;
    sora_result r = sr_config_floats(c, key, out, 2, &n, err);

    if (r == SORA_OK && n != 2)
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %s has %zu numbers; wanted: two noise levels, 0 to 1", path, key, n);
    if (r == SORA_OK && !(out[0] >= 0 && out[0] <= out[1] && out[1] <= 1))
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %s is %g to %g; wanted: noise levels between 0 and 1, the lower one first", path, key,
                    out[0], out[1]);
    return r;
}

static sora_result read_sampler(struct sr_about_sampler *s, const struct sr_config *c, const char *path,
                                sora_error *err)
{
    static const char *const kinds[] = { "euler", "unipc", "renoise" }, *const caches[] = { "clean", "last-step" };
    char key[40];
    int word = 0;
    sora_result r;

    if (!sr_config_has(c, "sampler")) return SORA_OK;
    if ((r = sr_config_known(c, "sampler", sampler_keys, SR_COUNT(sampler_keys), err)) < 0) return r;
    for (size_t i = 0; i < SCHEDULE_KEYS; i++) {
        snprintf(key, sizeof key, "sampler.%s", sampler_keys[i]);
        s->scheduled |= sr_config_has(c, key);
    }
    if ((r = read_word(c, path, "sampler.kind", kinds, 3, "\"euler\", \"unipc\" or \"renoise\"", &word, err)) < 0)
        return r;
    if (s->scheduled) snprintf(s->kind, sizeof s->kind, "%s", kinds[word]);
    if ((r = sr_config_float(c, "sampler.shift", 0.01, 1000, &s->shift, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.first_steps", 1, 1000, &s->first_steps, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.next_steps", 1, 1000, &s->next_steps, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.turn_steps", 1, 1000, &s->turn_steps, err)) < 0) return r;
    if ((r = read_timesteps(c, path, "sampler.first_timesteps", s->first_timesteps, &s->nfirst, err)) < 0) return r;
    if ((r = read_timesteps(c, path, "sampler.timesteps", s->timesteps, &s->nnext, err)) < 0) return r;
    if (s->nfirst && !s->nnext)
        return sr_fail(err, SORA_ERR_MODEL, "%s: sampler.first_timesteps is there, sampler.timesteps is not; wanted: "
                       "both, or the latter alone", path);
    if (s->nnext && (s->shift || s->first_steps || s->next_steps || s->turn_steps))
        return sr_fail(err, SORA_ERR_MODEL, "%s: sampler.timesteps is there, and so is sampler.%s; wanted: one of them",
                       path, s->shift ? "shift" : s->first_steps ? "first_steps" : s->next_steps ? "next_steps" : "turn_steps");
    if ((r = sr_config_float(c, "sampler.renoise_until", 0, 1, &s->renoise_until, err)) < 0) return r;
    if (s->renoise_until > 0 && strcmp(s->kind, "renoise") != 0)
        return sr_fail(err, SORA_ERR_MODEL, "%s: sampler.renoise_until is there, and sampler.kind is \"%s\"; wanted: \"renoise\"",
                       path, s->kind);
    if ((r = sr_config_float(c, "sampler.first_guidance", 0, 100, &s->first_guidance, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.next_guidance", 0, 100, &s->next_guidance, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.turn_guidance", 0, 100, &s->turn_guidance, err)) < 0) return r;
    if ((r = read_interval(c, path, "sampler.guidance_interval", s->guidance_interval, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.guidance_parallel", 0, 1, &s->guidance_parallel, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.window", 0, SR_MAX_CACHED, &s->window, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.sink", 0, SR_MAX_CACHED, &s->sink, err)) < 0) return r;
    if ((r = sr_config_int(c, "sampler.turn_every", 0, 1 << 30, &s->turn_every, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.context_time", 0, 1, &s->context_time, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.change_noise", 0, 1e6, &s->change_noise, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.retouch_time", 0, 1, &s->retouch_time, err)) < 0) return r;
    if ((r = sr_config_float(c, "sampler.retouch_change", 0, 1e6, &s->retouch_change, err)) < 0) return r;
    word = 0;
    r = read_word(c, path, "sampler.cache", caches, 2, "\"clean\" or \"last-step\"", &word, err);
    s->last_step = word == 1;
    /* The other prompt's keys and values of that step would be missing. */
    if (r == SORA_OK && s->last_step && sr_config_has(c, "sampler.guidance_interval"))
        r = sr_fail(err, SORA_ERR_MODEL, "%s: sampler.guidance_interval is there, and sampler.cache is \"last-step\"; wanted: one of "
                    "them", path);
    return r;
}

static sora_result read_about(struct sr_about *a, const struct sr_config *c, const char *path, sora_error *err)
{
    static const char *const changes[] = { [SR_CHANGE_OWN] = "", [SR_CHANGE_RESTART] = "restart",
                                           [SR_CHANGE_CONTINUE] = "continue", [SR_CHANGE_TURN] = "turn",
                                           [SR_CHANGE_RECACHE] = "re-cache" };
    int change = SR_CHANGE_OWN;
    sora_result r;

    if ((r = sr_config_known(c, NULL, keys, SR_COUNT(keys), err)) < 0) return r;
    if ((r = read_size(a, c, path, err)) < 0) return r;
    if ((r = read_pocket(a, c, path, err)) < 0) return r;
    if ((r = sr_config_int(c, "chunk_latents", 1, 64, &a->chunk_latents, err)) < 0) return r;
    if ((r = sr_config_int(c, "chunk_frames", 1, 1024, &a->chunk_frames, err)) < 0) return r;
    r = read_word(c, path, "prompt_change", changes, SR_COUNT(changes),
                  "\"restart\", \"continue\", \"turn\" or \"re-cache\"", &change, err);
    if (r < 0) return r;
    a->prompt_change = (enum sr_prompt_change)change;
    if ((r = read_sampler(&a->sampler, c, path, err)) < 0) return r;
    if (a->preset[0] && a->sampler.scheduled)
        return sr_fail(err, SORA_ERR_MODEL,
                       "%s: preset is \"%s\", and sampler has steps of its own; wanted: one of them", path, a->preset);
    return SORA_OK;
}

sora_result sr_about_read(struct sr_about *a, const char *folder, sora_error *err)
{
    char *path = sr_asprintf("%s/sora.json", folder);
    struct sr_config *c = NULL;
    struct stat st;
    sora_result r = SORA_OK;

    *a = (struct sr_about){ .sampler = { .window = -1, .sink = -1, .guidance_interval = { 0, 1 }, .guidance_parallel = 1 } };
    if (!path) return sr_fail_nomem(err, strlen(folder) + 12, "a path");
    if (stat(path, &st) == 0) {
        a->found = true;
        if ((r = sr_config_open(&c, path, err)) >= 0) r = read_about(a, c, path, err);
    }
    sr_config_close(&c);
    sr_free(path);
    return r;
}
