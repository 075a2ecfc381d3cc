/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Options of the program alone; the library's come from its table. */
static const struct own {
    const char *name;
    char letter;
    const char *value;              /* NULL: a switch */
    unsigned commands;
    const char *help;
} own[] = {
    { "output", 'o', "OUT", CMD_GENERATE | CMD_DECODE,
      "Where the frames go: a .y4m file, - for Y4M on standard output, a folder for PNG files; anything else is handed to the "
      "ffmpeg program" },
    { "format", 0, "FORMAT", CMD_GENERATE | CMD_DECODE,
      "Pixels of Y4M and ffmpeg output: yuv420p, yuv422p, yuv444p, yuv420p10, yuv422p10, yuv444p10" },
    { "container", 0, "NAME", CMD_GENERATE | CMD_DECODE,
      "Of -o -: y4m, or by the ffmpeg program matroska (keeps all colour tags) or nut (exact times)" },
    { "progress", 0, "HOW", CMD_GENERATE | CMD_DECODE, "bar, plain or json, on standard error; by default what suits it" },
    { "quiet", 'q', NULL, CMD_GENERATE | CMD_DECODE | CMD_BENCH | CMD_SERVE, "Errors only" },
    { "verbose", 'v', NULL, CMD_GENERATE | CMD_DECODE | CMD_BENCH | CMD_SERVE, "What the library does, line by line" },
    { "noise", 0, "FILE", CMD_GENERATE, "Start from this safetensors file's \"noise\" [C, F, H, W]" },
    { "text", 0, "FILE", CMD_GENERATE, "Use this file's \"text\" [T, D] in place of the text encoder" },
    { "latents", 0, "FILE", CMD_GENERATE | CMD_DECODE, "Decode this file's \"latents\" [C, F, H, W]" },
    { "save-text", 0, "FILE", CMD_GENERATE, "Keep the text encoder's output" },
    { "save-latents", 0, "FILE", CMD_GENERATE, "Keep the result of sampling" },
    { "save-frames", 0, "FILE", CMD_GENERATE | CMD_DECODE, "Keep \"frames\" [frames, height, width, 3], RGB 0..1 as decoded" },
    { "stage", 0, "STAGE", CMD_BENCH, "Measure one of text, step, vae" },
    { "runs", 0, "N", CMD_BENCH, "Runs of each stage" },
    { "listen", 0, "ADDRESS", CMD_SERVE, "Where to listen, in numbers; other machines reach all but 127.0.0.1 and ::1 [127.0.0.1]" },
    { "port", 0, "N", CMD_SERVE, "TCP port; 0: a free one, which is printed [8080]" },
    { "jobs", 0, "N", CMD_SERVE, "Videos in work at a time; 1 to 100 [2]" },
    { "max-seconds", 0, "N", CMD_SERVE, "Longest video; 0: any, endless ones too [60]" },
    { "max-size", 0, "WxH", CMD_SERVE, "Most pixels of a frame [1920x1080]" },
    { "json", 0, NULL, CMD_INFO | CMD_BENCH, "One JSON object, for programs" },
    { "help", 'h', NULL, ~0u, "This text" },
};

static const struct {
    const char *name;
    sora_format format;
} formats[] = {
    { "yuv420p", SORA_FORMAT_YUV420P }, { "yuv422p", SORA_FORMAT_YUV422P }, { "yuv444p", SORA_FORMAT_YUV444P },
    { "yuv420p10", SORA_FORMAT_YUV420P10 }, { "yuv422p10", SORA_FORMAT_YUV422P10 }, { "yuv444p10", SORA_FORMAT_YUV444P10 },
};

/* ---- Help ---- */

/* Two columns, the right one wrapped. */
static void row(FILE *f, const char *left, const char *right)
{
    enum { LEFT = 26, RIGHT = 78 };
    int column = fprintf(f, "  %-*s", LEFT - 2, left);
    const char *word = right;

    if (column > LEFT) fprintf(f, "\n%*s", LEFT, "");
    for (column = LEFT; *word;) {
        const size_t n = strcspn(word, " ");
        if (column + (int)n >= RIGHT && column > LEFT) column = fprintf(f, "\n%*s", LEFT, "") - 1;
        column += fprintf(f, "%s%.*s", column > LEFT ? " " : "", (int)n, word);
        word += n + (word[n] == ' ');
    }
    fputc('\n', f);
}

static const char *placeholder(const sora_option *t)
{
    switch (t->type) {
    case SORA_OPTION_STRING: return !strcmp(t->name, "model") ? "MODEL" : !strcmp(t->name, "vae") ? "VAE" : "TEXT";
    case SORA_OPTION_PATH:   return "FILE";
    case SORA_OPTION_SIZE:   return "WxH";
    case SORA_OPTION_RATE:   return "RATE";
    case SORA_OPTION_ENUM:   return "NAME";
    default:                 return "N";
    }
}

static void table_row(FILE *f, const sora_option *t)
{
    char left[80], letter[8] = "    ", right[600], range[120] = "", def[120] = "";

    if (t->letter) snprintf(letter, sizeof letter, "-%c, ", t->letter);
    snprintf(left, sizeof left, "%s--%s %s", letter, t->name, placeholder(t));
    if (t->type == SORA_OPTION_INT && t->max < 1e12) snprintf(range, sizeof range, "; %.0f to %.0f", t->min, t->max);
    if (t->type == SORA_OPTION_FLOAT) snprintf(range, sizeof range, "; %g to %g", t->min, t->max);
    if (t->type == SORA_OPTION_SIZE) snprintf(range, sizeof range, "; from %.0fx%.0f", t->min, t->min);
    if (t->type == SORA_OPTION_ENUM) snprintf(range, sizeof range, "; %s", t->values);
    if (t->def[0]) snprintf(def, sizeof def, " [%s]", t->def);
    snprintf(right, sizeof right, "%s%s%s%s%s%s", t->help, range, t->unit[0] ? " (" : "", t->unit, t->unit[0] ? ")" : "", def);
    row(f, left, right);
}

/* The library's options that a command takes. */
static bool takes(unsigned command, const char *name)
{
    static const char *const bench[] = { "size", "frames", "steps", "threads", "precision", "seed", "model", "vae" };

    if (command & CMD_GENERATE) return true;
    if (command & CMD_SERVE) return strcmp(name, "prompt") && strcmp(name, "prompt-file");
    if (command & CMD_DECODE)
        return strcmp(name, "prompt") && strcmp(name, "prompt-file") && strcmp(name, "negative-prompt");
    for (size_t i = 0; (command & (CMD_BENCH | CMD_INFO)) && i < COUNT(bench); i++)
        if (!strcmp(bench[i], name)) return true;
    return false;
}

void args_help(FILE *f, unsigned command)
{
    static const struct { unsigned command; const char *usage; } usage[] = {
        { CMD_GENERATE, "sora generate [options] -p PROMPT -o OUT\n\nMake a video from a sentence." },
        { CMD_DECODE, "sora decode [options] -m MODEL --latents FILE -o OUT\n\nTurn latents into a video." },
        { CMD_INFO, "sora info [options] [MODEL]\n\nWhat a model is and needs; without MODEL, which models can be found." },
        { CMD_BENCH, "sora bench [options] [MODEL | SHAPE]\n\nMeasure. SHAPE: wan2.1-1.3b, wan2.2-5b, wan2.1-14b: random "
          "weights of that shape." },
        { CMD_SERVE, "sora serve [options]\n\nVideo over HTTP: http://127.0.0.1:8080/v?prompt=a%20dog&size=512x288&duration=5\n"
          "The options say what an address does not; it may choose prompt, negative-prompt, model (by name), size, rate,\n"
          "duration, frames, seed, steps, guidance, shift, sampler and format." },
        { CMD_ESCAPE, "sora escape TEXT\n\nThe text as one FFmpeg filter option value: -i \"sora=prompt=$(sora escape \"it's a dog\")\"" },
    };

    for (size_t i = 0; i < COUNT(usage); i++)
        if (usage[i].command == command) fprintf(f, "usage: %s\n\n", usage[i].usage);
    for (const sora_option *t = sora_option_table(); t->name; t++)
        if (takes(command, t->name)) table_row(f, t);
    for (size_t i = 0; i < COUNT(own); i++) {
        char left[80], letter[8] = "    ";
        if (!(own[i].commands & command)) continue;
        if (own[i].letter) snprintf(letter, sizeof letter, "-%c, ", own[i].letter);
        snprintf(left, sizeof left, "%s--%s %s", letter, own[i].name, own[i].value ? own[i].value : "");
        row(f, left, own[i].help);
    }
    if (command & (CMD_GENERATE | CMD_DECODE | CMD_INFO | CMD_BENCH | CMD_SERVE))
        fprintf(f, "\nWhat is not given is the model's own.\n");
}

/* ---- Parsing ---- */

/* All of standard input, at most what the library takes as a prompt. */
static char *read_stdin(void)
{
    enum { MAX = 1 << 20 };
    char *text = malloc(MAX + 1);
    size_t n;

    if (!text) return NULL;
    n = fread(text, 1, MAX, stdin);
    text[n] = 0;
    if (n && text[n - 1] == '\n') text[n - 1] = 0;
    return text;
}

bool args_format(const char *name, sora_format *format)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (!strcmp(name, formats[i].name)) {
            *format = formats[i].format;
            return true;
        }
    return false;
}

/* A whole number within [min, max], or the message that asks for one. */
static int whole(const char *name, const char *value, long min, long max, int *n)
{
    char *end;
    const long v = strtol(value, &end, 10);

    if (*value && !*end && v >= min && v <= max) {
        *n = (int)v;
        return EXIT_OK;
    }
    complain("--%s: found \"%s\", wanted a whole number from %ld to %ld", name, value, min, max);
    return EXIT_USAGE;
}

static int set_serve(struct args *a, const struct own *k, const char *value)
{
    sora_options o;
    sora_error err = { 0 };
    int n, r;

    if (!strcmp(k->name, "port")) return whole(k->name, value, 0, 65535, &a->port);
    if (!strcmp(k->name, "jobs")) return whole(k->name, value, 1, 100, &a->jobs);
    if (!strcmp(k->name, "max-seconds")) {
        r = whole(k->name, value, 0, 1000000, &n);
        if (r == EXIT_OK) a->max_seconds = n;
        return r;
    }
    if (!strcmp(k->name, "max-size")) {
        sora_options_init(&o);
        if (sora_options_set(&o, "size", value, &err) < 0) return complain("--max-%s", err.text), EXIT_USAGE;
        a->max_width = o.width;
        a->max_height = o.height;
        return EXIT_OK;
    }
    a->listen = value;
    return EXIT_OK;
}

static int set_own(struct args *a, const struct own *k, const char *value)
{
    static const char *const hows[] = { "auto", "bar", "plain", "json", "none" };

    if (k->commands == CMD_SERVE) return set_serve(a, k, value);
    if (!strcmp(k->name, "output")) a->out = value;
    else if (!strcmp(k->name, "noise")) a->o.noise_file = value;
    else if (!strcmp(k->name, "text")) a->o.text_file = value;
    else if (!strcmp(k->name, "latents")) a->o.latents_file = value;
    else if (!strcmp(k->name, "save-text")) a->o.save_text_file = value;
    else if (!strcmp(k->name, "save-latents")) a->o.save_latents_file = value;
    else if (!strcmp(k->name, "save-frames")) a->o.save_frames_file = value;
    else if (!strcmp(k->name, "quiet")) a->quiet = true;
    else if (!strcmp(k->name, "verbose")) a->verbose = true;
    else if (!strcmp(k->name, "json")) a->json = true;
    else if (!strcmp(k->name, "help")) return -1;
    else if (!strcmp(k->name, "stage")) {
        a->stage = value;
        if (strcmp(value, "text") && strcmp(value, "step") && strcmp(value, "vae")) {
            complain("--stage: found \"%s\", wanted one of text|step|vae", value);
            return EXIT_USAGE;
        }
    } else if (!strcmp(k->name, "runs")) {
        return whole(k->name, value, 1, 1000, &a->runs);
    } else if (!strcmp(k->name, "progress")) {
        for (size_t i = 0; i < COUNT(hows); i++)
            if (!strcmp(value, hows[i])) {
                a->progress = (enum progress_mode)i;
                return EXIT_OK;
            }
        complain("--progress: found \"%s\", wanted one of bar|plain|json|none", value);
        return EXIT_USAGE;
    } else if (!strcmp(k->name, "container")) {
        a->container = value;
        if (!strcmp(value, "y4m") || !strcmp(value, "matroska") || !strcmp(value, "nut")) return EXIT_OK;
        complain("--container: found \"%s\", wanted one of y4m|matroska|nut", value);
        return EXIT_USAGE;
    } else if (!strcmp(k->name, "format")) {
        if (args_format(value, &a->o.format)) return EXIT_OK;
        complain("--format: found \"%s\", wanted yuv420p, yuv422p, yuv444p or one of these with 10 behind it", value);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int set_library(struct args *a, const sora_option *t, const char *value)
{
    sora_error err = { 0 };

    if (!strcmp(t->name, "prompt-file") && !strcmp(value, "-")) {
        free(a->stdin_prompt);
        if (!(value = a->stdin_prompt = read_stdin())) return complain("out of memory"), EXIT_FAILED;
        t = sora_option_table();
        while (strcmp(t->name, "prompt")) t++;
    }
    if (sora_options_set(&a->o, t->name, value, &err) == SORA_OK) return EXIT_OK;
    complain("--%s", err.text);
    return EXIT_USAGE;
}

/* The option called name (n bytes) or letter, of either table. */
static bool find(unsigned command, const char *name, size_t n, char letter, const sora_option **t, const struct own **k)
{
    *t = NULL;
    *k = NULL;
    for (const sora_option *i = sora_option_table(); i->name; i++)
        if ((letter ? i->letter == letter : strlen(i->name) == n && !memcmp(i->name, name, n)) && takes(command, i->name))
            *t = i;
    for (size_t i = 0; i < COUNT(own); i++)
        if ((own[i].commands & command) &&
            (letter ? own[i].letter == letter : strlen(own[i].name) == n && !memcmp(own[i].name, name, n))) *k = &own[i];
    return *t || *k;
}

/* One word that begins with '-'; *i moves on where its value is the next word. */
static int parse_option(struct args *a, unsigned command, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *value = NULL;
    const bool is_long = word[1] == '-';
    const size_t n = strcspn(word, "=");
    const sora_option *t;
    const struct own *k;

    if (!find(command, word + 2, is_long ? n - 2 : 0, is_long ? 0 : word[1], &t, &k)) {
        complain("%s: no option %.*s; see sora %s --help", a->command, is_long ? (int)n : 2, word, a->command);
        return EXIT_USAGE;
    }
    if (is_long && word[n]) value = word + n + 1;
    if (!is_long && word[2]) value = word + 2;
    if (k && !k->value) {
        if (!value) return set_own(a, k, NULL);
        complain("%s: %s takes no value", a->command, word);
        return EXIT_USAGE;
    }
    if (!value && *i + 1 < argc) value = argv[++*i];
    if (!value) {
        complain("%s: %s wants a value", a->command, word);
        return EXIT_USAGE;
    }
    return k ? set_own(a, k, value) : set_library(a, t, value);
}

int args_parse(struct args *a, unsigned command, int argc, char **argv)
{
    bool options = true;
    int r = EXIT_OK;

    sora_options_init(&a->o);
    a->container = "y4m";
    a->listen = "127.0.0.1";
    a->port = 8080;
    a->jobs = 2;
    a->max_seconds = 60;
    a->max_width = 1920;
    a->max_height = 1080;
    if (!(a->rest = calloc((size_t)argc + 1, sizeof *a->rest))) return complain("out of memory"), EXIT_FAILED;
    for (int i = 0; i < argc && r == EXIT_OK; i++) {
        if (options && !strcmp(argv[i], "--")) options = false;
        else if (options && argv[i][0] == '-' && argv[i][1]) r = parse_option(a, command, argc, argv, &i);
        else a->rest[a->n_rest++] = argv[i];
    }
    return r;
}

void args_free(struct args *a)
{
    free(a->rest);
    free(a->stdin_prompt);
}
