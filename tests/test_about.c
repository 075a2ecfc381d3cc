/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sora.json: what is read of it, and what is refused by name. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "models/about.h"
#include "near.h"

/* text: of the sora.json of a fresh folder; NULL: it has none */
static sora_result read_text(struct sr_about *a, const char *text, sora_error *err)
{
    char dir[] = "/tmp/sora-about-XXXXXX", path[64];
    sora_result r;
    FILE *f;

    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/sora.json", dir);
    if (text) ck_assert((f = fopen(path, "w")) && fputs(text, f) >= 0 && fclose(f) == 0);
    r = sr_about_read(a, dir, err);
    unlink(path);
    rmdir(dir);
    return r;
}

START_TEST(test_absent)
{
    struct sr_about a;

    ck_assert_int_eq(read_text(&a, NULL, NULL), SORA_OK);
    ck_assert(!a.found && !a.family[0] && a.sampler.window == -1);
    ck_assert_int_eq(read_text(&a, "{\"family\": \"wan\"}", NULL), SORA_OK);
    ck_assert(a.sampler.guidance_interval[0] == 0 && a.sampler.guidance_interval[1] == 1 && a.sampler.guidance_parallel == 1);
    ck_assert(a.found && !strcmp(a.family, "wan") && !a.chunk_latents && !a.preset[0] && !a.sampler.scheduled);
    ck_assert(a.sampler.window == -1 && a.sampler.sink == -1 && a.prompt_change == SR_CHANGE_OWN);
}
END_TEST

START_TEST(test_pocket)
{
    static struct sr_about a;

    ck_assert_int_eq(
        read_text(&a,
                  "{\"format\": 1, \"family\": \"pocket\", \"licence\": \"CC0-1.0\", \"width\": 512, \"height\": 288,"
                  "\"rate\": 16, \"frames\": 81, \"latent\": [2, 18, 32], \"text_tokens\": 32, \"text_unknown\": 2,"
                  "\"motion\": \"m.safetensors\", \"inputs\": [[\"noisy\", 2]], \"position_channels\": 8, \"position_waves\": [1, 3],"
                  "\"chunk_latents\": 1, \"chunk_frames\": 4, \"prompt_change\": \"continue\","
                  "\"sampler\": {\"kind\": \"euler\", \"shift\": 3, \"first_steps\": 12, \"first_guidance\": 2,"
                  "\"guidance_interval\": [0.25, 1], \"guidance_parallel\": 0.5, \"turn_guidance\": 1.5, \"turn_steps\": 6,"
                  "\"next_steps\": 3, \"window\": 12, \"context_time\": 0.04, \"change_noise\": 0.02, \"retouch_time\": 0.7,"
                  "\"retouch_change\": 4},"
                  "\"spread\": [1, 2], \"spread_next\": [0.5, 0.25], \"still\": [1, 2, 3, 4], \"still_bias\": [5, 6]}",
                  NULL),
        SORA_OK);
    ck_assert(a.width == 512 && a.height == 288 && a.rate == 16 && a.frames == 81 && a.latent[0] == 2 &&
              a.latent[2] == 32);
    ck_assert(!strcmp(a.licence, "CC0-1.0") && !strcmp(a.motion, "m.safetensors"));
    ck_assert(a.text_tokens == 32 && a.nwaves == 2 && a.waves[1] == 3);
    ck_assert(a.chunk_latents == 1 && a.chunk_frames == 4 && a.prompt_change == SR_CHANGE_CONTINUE);
    ck_assert(a.sampler.scheduled && !strcmp(a.sampler.kind, "euler") && a.sampler.shift == 3 &&
              a.sampler.first_steps == 12);
    ck_assert(a.sampler.next_steps == 3 && a.sampler.first_guidance == 2 && a.sampler.next_guidance == 0);
    ck_assert(a.sampler.guidance_interval[0] == 0.25 && a.sampler.guidance_interval[1] == 1 && a.sampler.guidance_parallel == 0.5);
    ck_assert(a.sampler.turn_guidance == 1.5 && a.sampler.turn_steps == 6);
    ck_assert(a.sampler.window == 12 && a.sampler.sink == -1 && a.sampler.context_time == 0.04 && !a.sampler.last_step);
    ck_assert(a.sampler.change_noise == 0.02 && a.sampler.retouch_time == 0.7 && a.sampler.retouch_change == 4);
    ck_assert(a.nspread == 2 && a.spread[1] == 2 && a.spread_next[1] == 0.25);
    ck_assert(a.has_still && a.still[3] == 4 && a.still_bias[1] == 6);
}
END_TEST

START_TEST(test_wan)
{
    static struct sr_about a;

    ck_assert_int_eq(
        read_text(&a,
                  "{\"family\": \"wan\", \"preset\": \"longlive\", \"prompt_change\": \"re-cache\","
                  "\"lora\": \"l.pt\", \"lora_next\": \"n.pt\", \"sampler\": {\"window\": 9, \"sink\": 0, \"cache\": \"last-step\"}}",
                  NULL),
        SORA_OK);
    ck_assert(!strcmp(a.preset, "longlive") && a.prompt_change == SR_CHANGE_RECACHE);
    ck_assert(!strcmp(a.lora, "l.pt") && !strcmp(a.lora_next, "n.pt") && a.lora_scale == 1);
    ck_assert(!a.sampler.scheduled && a.sampler.window == 9 && a.sampler.sink == 0 && a.sampler.last_step);
    ck_assert_int_eq(read_text(&a,
                               "{\"family\": \"wan\", \"chunk_latents\": 3, \"sampler\": {\"kind\": \"renoise\","
                               "\"renoise_until\": 0.25,"
                               "\"first_timesteps\": [1000, 750.5, 20], \"timesteps\": [900], \"window\": 9}}",
                               NULL),
                     SORA_OK);
    ck_assert(a.sampler.scheduled && !strcmp(a.sampler.kind, "renoise") && a.sampler.nfirst == 3 &&
              a.sampler.nnext == 1 && a.sampler.renoise_until == 0.25);
    ck_assert(a.sampler.first_timesteps[1] == 750.5 && a.sampler.timesteps[0] == 900 && a.chunk_latents == 3);
}
END_TEST

/* What must be there is added in front, so that each text has one mistake. */
START_TEST(test_refused)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "\"format\": 2", "\"format\" is 2" },
        { "\"widht\": 512", "\"widht\" is not known; wanted: format, family" },
        { "\"width\": 8", "\"width\" is 8" },
        { "\"rate\": 16.5", "\"rate\"" },
        { "\"latent\": [16, 5]", "latent has 2 numbers" },
        { "\"position_waves\": [1, \"a\"]", "position_waves" },
        { "\"spread\": [1, 1], \"spread_next\": [1]", "spread has 2 numbers, spread_next 1" },
        { "\"spread\": [0], \"spread_next\": [1]", "spread of channel 0 is 0" },
        { "\"spread\": [1], \"spread_next\": [1e9]", "spread_next of channel 0" },
        { "\"spread\": [1, 1], \"spread_next\": [1, 1], \"still\": [1, 0, 1], \"still_bias\": [0, 0]",
          "still has 3 numbers, still_bias 2; wanted for 2 channels: 4 and 2" },
        { "\"spread\": [1], \"spread_next\": [1], \"still_bias\": [0]", "still has 0 numbers, still_bias 1" },
        { "\"spread\": [1], \"spread_next\": [1], \"still\": [1e9], \"still_bias\": [0]", "number 0 of still is 1e+09" },
        { "\"chunk_latents\": 0", "chunk_latents" },
        { "\"prompt_change\": \"recache\"",
          "prompt_change is \"recache\"; wanted: \"restart\", \"continue\", \"turn\" or \"re-cache\"" },
        { "\"sampler\": []", "\"sampler\" is a list of 0; wanted: an object" },
        { "\"sampler\": {\"steps\": 4}", "\"sampler.steps\" is not known; wanted: kind, shift" },
        { "\"sampler\": {\"kind\": \"heun\"}", "sampler.kind is \"heun\"" },
        { "\"sampler\": {\"renoise_until\": 0.5}", "sampler.renoise_until is there, and sampler.kind is \"euler\"" },
        { "\"sampler\": {\"kind\": \"renoise\", \"renoise_until\": 2}", "sampler.renoise_until" },
        { "\"sampler\": {\"guidance_interval\": [0.5]}", "sampler.guidance_interval has 1 numbers" },
        { "\"sampler\": {\"guidance_interval\": []}", "sampler.guidance_interval has 0 numbers" },
        { "\"sampler\": {\"guidance_interval\": [0.9, 0.5]}", "sampler.guidance_interval is 0.9 to 0.5; wanted: noise levels" },
        { "\"sampler\": {\"guidance_interval\": [0, 1.5]}", "sampler.guidance_interval is 0 to 1.5" },
        { "\"sampler\": {\"guidance_interval\": [0, 1], \"cache\": \"last-step\"}", "sampler.cache is \"last-step\"" },
        { "\"sampler\": {\"guidance_parallel\": 1.5}", "sampler.guidance_parallel" },
        { "\"sampler\": {\"turn_guidance\": -1}", "sampler.turn_guidance" },
        { "\"sampler\": {\"next_steps\": 0}", "sampler.next_steps" },
        { "\"sampler\": {\"shift\": 0}", "sampler.shift" },
        { "\"sampler\": {\"window\": 1e9}", "sampler.window" },
        { "\"sampler\": {\"window\": 1025}", "sampler.window" },
        { "\"sampler\": {\"sink\": -1}", "sampler.sink" },
        { "\"sampler\": {\"context_time\": 40}", "sampler.context_time" },
        { "\"sampler\": {\"change_noise\": -1}", "sampler.change_noise" },
        { "\"sampler\": {\"retouch_time\": 1.5}", "sampler.retouch_time" },
        { "\"sampler\": {\"retouch_change\": -4}", "sampler.retouch_change" },
        { "\"sampler\": {\"cache\": \"none\"}", "sampler.cache is \"none\"; wanted: \"clean\" or \"last-step\"" },
        { "\"sampler\": {\"timesteps\": [500, 500]}", "entry 1 of sampler.timesteps is 500" },
        { "\"sampler\": {\"timesteps\": [0]}", "entry 0 of sampler.timesteps is 0" },
        { "\"sampler\": {\"timesteps\": [1001]}", "entry 0 of sampler.timesteps is 1001" },
        { "\"sampler\": {\"first_timesteps\": [500]}", "sampler.timesteps is not" },
        { "\"sampler\": {\"timesteps\": [500], \"shift\": 5}", "and so is sampler.shift" },
        { "\"sampler\": {\"timesteps\": [500], \"next_steps\": 1}", "and so is sampler.next_steps" },
        { "\"sampler\": {\"timesteps\": [500], \"turn_steps\": 1}", "and so is sampler.turn_steps" },
        { "\"sampler\": {\"turn_steps\": 0}", "sampler.turn_steps" },
        { "\"lora\": \"../lora.pt\"", "lora is \"../lora.pt\"" },
        { "\"motion\": \"/m\"", "motion is \"/m\"" },
        { "\"lora_next\": \"a/b\"", "lora_next is \"a/b\"" },
        { "\"lora_scale\": 1", "lora_scale is there, lora is not" },
        { "\"lora\": \"a\", \"lora_scale\": 1e9", "lora_scale" },
        { "\"preset\": \"longlive\", \"sampler\": {\"shift\": 5}",
          "preset is \"longlive\", and sampler has steps of its own" },
    };
    static struct sr_about a;
    char text[300];

    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        sora_error err = { 0 };
        snprintf(text, sizeof text, "{\"family\": \"wan\", %s}", bad[i].text);
        ck_assert_msg(read_text(&a, text, &err) == SORA_ERR_MODEL, "%s was not refused", text);
        ck_assert_msg(strstr(err.text, bad[i].part) && strstr(err.text, "sora.json: "), "%s: \"%s\" has no \"%s\"",
                      text, err.text, bad[i].part);
    }
    ck_assert_int_eq(read_text(&a, "{\"width\": 512}", NULL), SORA_ERR_MODEL);
    ck_assert_int_eq(read_text(&a, "{\"family\": \"pocket\"}", NULL), SORA_ERR_MODEL);
    ck_assert_int_eq(read_text(&a, "", NULL), SORA_ERR_MODEL);
}
END_TEST

RUN_TESTS("about", test_absent, test_pocket, test_wan, test_refused)
