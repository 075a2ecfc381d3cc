/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which stream a model is: by its sora.json, its name, its files; and what may then be asked of it. */
#include "near.h"
#include "pipeline/diffusion.h"

#include "small_stream.h"

static void streams_as(const char *path, const char *preset, int64_t chunk, int64_t window, int64_t sink,
                       enum sr_prompt_change change)
{
    const sora_options o = small_options();
    const struct sr_job job = { .o = &o, .path = path };
    struct sr_pipeline *p;
    struct sr_diffusion *d;
    sora_error err = { 0 };

    ck_assert_msg(sr_pipeline_open(&p, &job, &err) == SORA_OK, "%s: %s", path, err.text);
    d = (struct sr_diffusion *)p;
    ck_assert_msg(!strcmp(d->about.preset, preset), "%s: \"%s\"", path, d->about.preset);
    ck_assert_msg(d->sc.chunk == chunk && d->sc.window == window && d->sc.sink == sink,
                  "%s: chunk %lld, window %lld, sink %lld", path, (long long)d->sc.chunk, (long long)d->sc.window,
                  (long long)d->sc.sink);
    ck_assert(d->sc.change == change && d->stream && p->info.streams);
    ck_assert(d->next.guidance == 1 && d->first.guidance == 1);
    sr_pipeline_close(&p);
}

START_TEST(test_choice)
{
    static const struct {
        const char *about, *preset;
        int64_t chunk, window, sink;
        enum sr_prompt_change change;
    } said[] = {
        { "\"preset\": \"self-forcing\"", "self-forcing", 3, 18, 0, SR_CHANGE_CONTINUE },
        { "\"preset\": \"longlive\"", "longlive", 3, 6, 3, SR_CHANGE_RECACHE },
        { "\"preset\": \"longlive\", \"prompt_change\": \"restart\"", "longlive", 3, 6, 3, SR_CHANGE_RESTART },
        { "\"preset\": \"causal-forcing++\"", "causal-forcing++", 1, 20, 0, SR_CHANGE_CONTINUE },
        { "\"preset\": \"longlive\", \"chunk_latents\": 2, \"sampler\": {\"window\": 4, \"sink\": 1}", "longlive", 2, 4,
          1, SR_CHANGE_RECACHE },
        { "\"chunk_latents\": 2, \"sampler\": {\"kind\": \"renoise\", \"timesteps\": [1000, 500], \"window\": 7}", "",
          2, 7, 0, SR_CHANGE_CONTINUE },
    };
    char text[300], path[100];

    for (size_t i = 0; i < SR_COUNT(said); i++) {
        snprintf(text, sizeof text, "{\"family\": \"wan\", %s}", said[i].about);
        about(text);
        streams_as(folder, said[i].preset, said[i].chunk, said[i].window, said[i].sink, said[i].change);
    }
    /* by its name; a word of sora.json goes before it */
    snprintf(path, sizeof path, "%s/SFWan2.1-T2V-1.3B-Diffusers", folder);
    ck_assert_int_eq(symlink(folder, path), 0);
    streams_as(path, "", 2, 7, 0, SR_CHANGE_CONTINUE);
    unlink(in_folder("sora.json"));
    streams_as(path, "self-forcing", 3, 18, 0, SR_CHANGE_CONTINUE);
}
END_TEST

/* An original checkpoint in the folder of the original release, told by what the trainer put before its names. */
START_TEST(test_checkpoint)
{
    enum { C = 128, FFN = 8, TEXT = 16, FREQ = 8 };
    static const float zeros[6 * C * C];
    static const struct sr_named t[] = {
        { "generator_ema.model._fsdp_wrapped_module.blocks.0.self_attn.q.weight", zeros, 2, { C, C } },
        { "generator_ema.model._fsdp_wrapped_module.blocks.0.ffn.0.weight", zeros, 2, { FFN, C } },
        { "generator_ema.model._fsdp_wrapped_module.text_embedding.0.weight", zeros, 2, { C, TEXT } },
        { "generator_ema.model._fsdp_wrapped_module.time_embedding.0.weight", zeros, 2, { C, FREQ } },
        { "generator_ema.model._fsdp_wrapped_module.head.head.weight", zeros, 2, { 64, C } },
        { "generator_ema.model._fsdp_wrapped_module.patch_embedding.weight", zeros, 5, { C, 16, 1, 2, 2 } },
    };
    char path[100];

    snprintf(path, sizeof path, "%s/self_forcing_dmd.safetensors", folder);
    ck_assert_int_eq(sr_safetensors_write(path, t, SR_COUNT(t), NULL), SORA_OK);
    streams_as(path, "self-forcing", 3, 18, 0, SR_CHANGE_CONTINUE);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    ck_assert_int_eq(sr_safetensors_write(path, t, SR_COUNT(t), NULL), SORA_OK);
    streams_as(path, "self-forcing", 3, 18, 0, SR_CHANGE_CONTINUE);
    about("{\"family\": \"wan\", \"preset\": \"causal-forcing++\"}");
    streams_as(path, "causal-forcing++", 1, 20, 0, SR_CHANGE_CONTINUE);
}
END_TEST

/* Fewer steps than the list has cannot be asked for, and those of the first chunk are not counted. */
START_TEST(test_steps)
{
    sora_options o = small_options();
    sora_session *s;
    sora_error err = { 0 };

    about("{\"family\": \"wan\", \"preset\": \"causal-forcing++\"}");
    o.steps = 2;
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s", err.text);
    sora_session_close(&s);
    o.steps = 3;
    ck_assert_int_eq(sora_session_open(&s, &o, &err), SORA_ERR_OPTION);
    ck_assert_msg(strstr(err.text, "distilled for exactly 2") != NULL, "%s", err.text);
    err = (sora_error){ 0 };
    o.steps = 0;
    about("{\"family\": \"wan\", \"preset\": \"nosuch\"}");
    ck_assert_int_eq(sora_session_open(&s, &o, &err), SORA_ERR_OPTION);
    ck_assert_msg(strstr(err.text, "self-forcing, longlive") != NULL, "%s", err.text);
}
END_TEST

RUN_TESTS_IN("stream choice", small_stream_make, folder_remove, test_choice, test_checkpoint, test_steps)
