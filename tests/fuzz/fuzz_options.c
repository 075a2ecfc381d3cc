/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Option values, prompts with schedules, knobs of model "test": whatever a user may type. */
#include "api/options.h"
#include "fuzz.h"
#include "models/test/test_model.h"

/* Every option gets the text; what it leaves behind must be what sr_options_copy() takes. */
static void try_value(const char *text)
{
    for (const sora_option *t = sora_option_table(); t->name; t++) {
        sora_options o, copy;
        sora_error err = { 0 };

        sora_options_init(&o);
        if (sora_options_set(&o, t->name, text, &err) < 0) {
            if (err.code != SORA_ERR_OPTION || strncmp(err.text, t->name, strlen(t->name))) abort();
            continue;
        }
        o.prompt_file = NULL;
        if (sr_options_copy(&copy, &o, &err) >= 0) sr_options_free(&copy);
        else if (strcmp(t->name, "negative-prompt")) abort();       /* the one that is checked as late as here */
    }
}

static void try_prompt(const char *text)
{
    struct sr_prompts p;
    sora_error err = { 0 };
    size_t entry;

    if (sr_prompts_parse(&p, text, &err) < 0) {
        if (err.code != SORA_ERR_OPTION || !err.text[0] || p.list) abort();
        return;
    }
    for (size_t i = 0; i < p.n; i++)
        if (!p.list[i].text[0] || (i ? p.list[i].at_s <= p.list[i - 1].at_s : p.list[i].at_s != 0)) abort();
    if (sr_prompts_at(&p, 0, &entry) != p.list[0].text || sr_prompts_at(&p, 1e9, &entry) != p.list[p.n - 1].text) abort();
    sr_prompts_free(&p);
}

static void try_knobs(const char *text)
{
    struct sr_test_knobs k;
    sora_error err = { 0 };

    if (!sr_test_is(text)) return;
    if (sr_test_parse(&k, text, &err) < 0) {
        if (err.code != SORA_ERR_OPTION || !err.text[0]) abort();
    } else if (k.width < 16 || k.height < 16 || k.steps < 1 || k.chunk_frames < 1 || k.rate < 1) {
        abort();
    }
}

static void try_text(const char *path, const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1);

    if (!text) exit(2);
    memcpy(text, data, n);
    text[n] = 0;
    try_value(text);
    try_prompt(text);
    try_knobs(text);
    free(text);
}

int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, "options", 3000, try_text);
}
