/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sora program: prompt to video on the command line. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct command {
    const char *name;
    unsigned bit;
    int (*run)(struct args *a);
    const char *help;
} commands[] = {
    { "generate", CMD_GENERATE, cmd_generate, "make a video from a sentence" },
    { "decode", CMD_DECODE, cmd_generate, "turn latents into a video" },
    { "info", CMD_INFO, cmd_info, "what a model is and needs, or which models there are" },
    { "bench", CMD_BENCH, cmd_bench, "measure the speed of a model or of a shape" },
#if HAVE_MICROHTTPD
    { "serve", CMD_SERVE, cmd_serve, "video over HTTP, on this machine" },
#endif
    { "escape", CMD_ESCAPE, cmd_escape, "a text as one FFmpeg filter option value" },
};
void complain(const char *fmt, ...)
{
    char line[1400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    fprintf(stderr, "sora: %s\n", line);
}

static void usage(FILE *f)
{
    fprintf(f, "usage: sora COMMAND [options]\n\n");
    for (size_t i = 0; i < COUNT(commands); i++) fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(f, "\n  sora generate -p \"a red balloon over green hills\" -o balloon.mp4\n"
               "  sora generate -p \"a red balloon\" -o - | ffplay -\n\n"
               "sora COMMAND --help lists the command's options; sora --version says what runs.\n");
}

static int run(const struct command *c, int argc, char **argv)
{
    struct args a = { .command = c->name };
    int r = args_parse(&a, c->bit, argc, argv);

    if (r == -1) {
        args_help(stdout, c->bit);
        r = fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    } else if (r == EXIT_OK) {
        r = c->run(&a);
    }
    args_free(&a);
    return r;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        usage(stdout);
        return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("sora %s\n", sora_version());
        return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(name, commands[i].name)) return run(&commands[i], argc - 2, argv + 2);
    complain("no command \"%s\"; see sora --help", name);
    return EXIT_USAGE;
}
