/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "weights/weights.h"

static void try_config(const char *path, const uint8_t *data, size_t n)
{
    static const char *const keys[] = { "num_layers", "patch_size", "_class_name", "eps", "latents_mean", "scheduler",
                                        "qk_norm", "vae", "cross_attn_norm" };
    struct sr_config *c;
    sora_error err = { 0 };
    int64_t i = 5, ints[3];
    double f = 5, floats[16];
    size_t count = 0;
    bool b = false;
    char text[64] = "";

    if (sr_config_open(&c, path, &err) < 0) {
        if (!err.code || !strstr(err.text, path) || c) abort();
        return;
    }
    for (size_t k = 0; k < SR_COUNT(keys); k++) {
        sr_config_has(c, keys[k]);
        sr_config_int(c, keys[k], 0, 100, &i, NULL);
        sr_config_float(c, keys[k], 0, 1, &f, NULL);
        sr_config_bool(c, keys[k], &b, NULL);
        sr_config_string(c, keys[k], text, sizeof text, NULL);
        sr_config_string_at(c, keys[k], 1, text, sizeof text, NULL);
        sr_config_ints(c, keys[k], 0, 100, ints, SR_COUNT(ints), &count, NULL);
        if (count > SR_COUNT(ints)) abort();
        sr_config_floats(c, keys[k], floats, SR_COUNT(floats), &count, NULL);
        if (count > SR_COUNT(floats) || i < 0 || i > 100 || !(f >= 0 && (f <= 1 || f == 5)) ||
            strlen(text) >= sizeof text)
            abort();
        count = 0;
    }
    sr_config_close(&c);
}

int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, "config", 5000, try_config);
}
