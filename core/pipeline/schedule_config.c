/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scheduler_config.json of a Diffusers folder: two classes are understood, and every setting that changes a number. */
#include <stdio.h>
#include <sys/stat.h>

#include "pipeline/sampler.h"

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The file itself, DIR/scheduler_config.json or DIR/scheduler/scheduler_config.json; sr_free(). */
static char *config_path(const char *folder)
{
    char *path = NULL;
    struct stat st;

    if (!is_folder(folder)) return sr_strdup(folder);
    path = sr_asprintf("%s/scheduler/scheduler_config.json", folder);
    if (!path || stat(path, &st) == 0) return path;
    sr_free(path);
    return sr_asprintf("%s/scheduler_config.json", folder);
}

/* Settings that must be off: each would give other noise levels than ours. */
static sora_result refuse_flags(const struct sr_config *c, const char *path, const char *const *keys, size_t n,
                                sora_error *err)
{
    sora_result r = SORA_OK;

    for (size_t i = 0; i < n && r == SORA_OK; i++) {
        bool on = false;
        r = sr_config_bool(c, keys[i], &on, err);
        if (r == SORA_OK && on)
            r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: %s is set; schedules without it are supported", path, keys[i]);
    }
    return r;
}

static sora_result want_string(const struct sr_config *c, const char *path, const char *key, const char *absent,
                               const char *want, sora_error *err)
{
    char s[64];
    sora_result r;

    snprintf(s, sizeof s, "%s", absent);
    if ((r = sr_config_string(c, key, s, sizeof s, err)) < 0) return r;
    if (strcmp(s, want))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: %s is \"%s\"; \"%s\" is supported", path, key, s, want);
    return SORA_OK;
}

static sora_result read_unipc(struct sr_schedule_config *k, const struct sr_config *c, const char *path,
                              sora_error *err)
{
    static const char *const off[] = { "thresholding", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
                                       "use_dynamic_shifting" };
    bool flow = false, x0 = true, lower = true;
    int64_t order = 2;
    double shift = 1;
    sora_result r;

    if ((r = sr_config_float(c, "flow_shift", 0.01, 1000, &shift, err)) < 0) return r;
    if ((r = sr_config_int(c, "solver_order", 1, 2, &order, err)) < 0) return r;
    if ((r = sr_config_bool(c, "use_flow_sigmas", &flow, err)) < 0) return r;
    if ((r = sr_config_bool(c, "predict_x0", &x0, err)) < 0) return r;
    if ((r = sr_config_bool(c, "lower_order_final", &lower, err)) < 0) return r;
    if (!flow || !x0 || !lower)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: %s is false; flow-matching models have it set", path,
                       !flow ? "use_flow_sigmas" : !x0 ? "predict_x0" : "lower_order_final");
    if ((r = want_string(c, path, "prediction_type", "epsilon", "flow_prediction", err)) < 0) return r;
    if ((r = want_string(c, path, "solver_type", "bh2", "bh2", err)) < 0) return r;
    if ((r = want_string(c, path, "final_sigmas_type", "zero", "zero", err)) < 0) return r;
    if ((r = refuse_flags(c, path, off, SR_COUNT(off), err)) < 0) return r;
    sr_schedule_config_default(k, SR_UNIPC, shift);
    k->order = order;
    return SORA_OK;
}

static sora_result read_euler(struct sr_schedule_config *k, const struct sr_config *c, const char *path,
                              sora_error *err)
{
    static const char *const off[] = { "invert_sigmas", "use_karras_sigmas", "use_exponential_sigmas",
                                       "use_beta_sigmas", "use_dynamic_shifting" };
    bool stochastic = false;
    double shift = 1;
    sora_result r;

    if ((r = sr_config_float(c, "shift", 0.01, 1000, &shift, err)) < 0) return r;
    if ((r = sr_config_bool(c, "stochastic_sampling", &stochastic, err)) < 0) return r;
    if ((r = refuse_flags(c, path, off, SR_COUNT(off), err)) < 0) return r;
    sr_schedule_config_default(k, stochastic ? SR_RENOISE : SR_EULER, shift);
    return SORA_OK;
}

sora_result sr_schedule_config_read(struct sr_schedule_config *k, const char *folder, sora_error *err)
{
    struct sr_config *c = NULL;
    char *path = config_path(folder), class[64] = "";
    int64_t train = 1000;
    double terminal = 0;
    sora_result r = SORA_ERR_NOMEM;

    if (!path) goto done;
    if ((r = sr_config_open(&c, path, err)) < 0) goto done;
    if ((r = sr_config_string(c, "_class_name", class, sizeof class, err)) < 0) goto done;
    if ((r = sr_config_int(c, "num_train_timesteps", 1000, 1000, &train, err)) < 0) goto done;
    if ((r = sr_config_float(c, "shift_terminal", 0, 1, &terminal, err)) < 0) goto done;
    if (terminal > 0) {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: shift_terminal is %g; schedules without it are supported", path,
                    terminal);
    } else if (!strcmp(class, "UniPCMultistepScheduler")) {
        r = read_unipc(k, c, path, err);
    } else if (!strcmp(class, "FlowMatchEulerDiscreteScheduler")) {
        r = read_euler(k, c, path, err);
    } else {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: _class_name is \"%s\"; UniPCMultistepScheduler and "
                    "FlowMatchEulerDiscreteScheduler are supported", path, class);
    }
done:
    if (r == SORA_ERR_NOMEM) sr_fail_nomem(err, 0, "the path of a scheduler's config");
    sr_config_close(&c);
    sr_free(path);
    return r;
}
