/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <sys/stat.h>

#include "pipeline/parts.h"

/* Names under which a part may lie in the folder: the Diffusers layout first, then the files of the original releases. */
static const char *const text_names[] = { "text_encoder", "models_t5_umt5-xxl-enc-bf16.safetensors",
                                          "models_t5_umt5-xxl-enc-bf16.pth", "umt5-xxl-enc-bf16.safetensors" };
static const char *const tokenizer_names[] = { "tokenizer", "google/umt5-xxl", "spiece.model", "tokenizer.model",
                                               "tokenizer.json" };
static const char *const vae_names[] = { "vae", "Wan2.1_VAE.safetensors", "Wan2.1_VAE.pth", "Wan2.2_VAE.safetensors",
                                         "Wan2.2_VAE.pth", "wan_2.1_vae.safetensors", "wan2.2_vae.safetensors" };
static const char *const scheduler_names[] = { "scheduler" };
static const char *const tiny_wan21[] = { "vae_tiny", "taew2_1.safetensors", "taew2_1.pth" };
static const char *const tiny_wan22[] = { "vae_tiny", "taew2_2.safetensors", "taew2_2.pth" };

/* The first of the names that exists; *path NULL: none. */
static sora_result first_of(char **path, const char *folder, const char *const *names, size_t n, sora_error *err)
{
    *path = NULL;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char *p = sr_asprintf("%s/%s", folder, names[i]);
        if (!p) return sr_fail_nomem(err, strlen(folder) + 64, "a path");
        if (stat(p, &st) == 0) {
            *path = p;
            return SORA_OK;
        }
        sr_free(p);
    }
    return SORA_OK;
}

/* The folder that holds everything: the path itself, or where the file lies; one slash more or less does not matter. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return sr_strdup(path);
    if (!slash) return sr_strdup(".");
    return slash == path ? sr_strdup("/") : sr_strndup(path, (size_t)(slash - path));
}

/* Last component, without slashes at the end. */
static void name_of(char *out, size_t size, const char *path)
{
    size_t end = strlen(path), from;

    while (end > 1 && path[end - 1] == '/') end--;
    from = end;
    while (from > 0 && path[from - 1] != '/') from--;
    snprintf(out, size, "%.*s", (int)SR_MIN(end - from, size - 1), path + from);
}

/* "license: apache-2.0" between the two lines of --- with which a model card begins. */
static void read_licence(char *out, size_t size, const char *folder)
{
    char *path = sr_asprintf("%s/README.md", folder), *text = NULL, *end;

    if (path && sr_read_file(&text, NULL, 1 << 20, path, NULL) == SORA_OK && !strncmp(text, "---\n", 4)) {
        if ((end = strstr(text + 4, "\n---"))) *end = 0;
        for (char *line = text + 3; line; line = strchr(line + 1, '\n'))
            if (!strncmp(line, "\nlicense:", 9)) {
                const char *s = line + 9 + strspn(line + 9, " \"'");
                snprintf(out, size, "%.*s", (int)SR_MIN(strcspn(s, " \"'\r\n"), size - 1), s);
            }
    }
    sr_free(text);
    sr_free(path);
}

static sora_result find_vae(struct sr_parts *p, const struct sr_job *job, int channels, sora_error *err)
{
    const char *asked = job->o->vae;
    const char *const *tiny = channels == 48 ? tiny_wan22 : tiny_wan21;
    sora_result r;

    if (!asked || !*asked || !strcmp(asked, "full")) return first_of(&p->vae, p->folder, vae_names, SR_COUNT(vae_names), err);
    if (strcmp(asked, "tiny")) return job->find(&p->vae, asked, err);
    if ((r = first_of(&p->vae, p->folder, tiny, 3, err)) < 0 || p->vae) return r;
    return job->find(&p->vae, channels == 48 ? "taew2_2" : "taew2_1", err);
}

sora_result sr_parts_find(struct sr_parts *p, const struct sr_job *job, int channels, sora_error *err)
{
    sora_result r = SORA_ERR_NOMEM;

    memset(p, 0, sizeof *p);
    if (!(p->folder = folder_of(job->path)) || !(p->transformer = sr_strdup(job->path))) {
        sr_fail_nomem(err, strlen(job->path) + 1, "a path");
        goto done;
    }
    if ((r = first_of(&p->text_encoder, p->folder, text_names, SR_COUNT(text_names), err)) < 0) goto done;
    if ((r = first_of(&p->tokenizer, p->folder, tokenizer_names, SR_COUNT(tokenizer_names), err)) < 0) goto done;
    if ((r = first_of(&p->scheduler, p->folder, scheduler_names, SR_COUNT(scheduler_names), err)) < 0) goto done;
    if ((r = find_vae(p, job, channels, err)) < 0) goto done;
    name_of(p->name, sizeof p->name, job->path);
    read_licence(p->licence, sizeof p->licence, p->folder);
done:
    if (r < 0) sr_parts_free(p);
    return r;
}

void sr_parts_free(struct sr_parts *p)
{
    sr_free(p->folder);
    sr_free(p->transformer);
    sr_free(p->text_encoder);
    sr_free(p->tokenizer);
    sr_free(p->vae);
    sr_free(p->scheduler);
    memset(p, 0, sizeof *p);
}
