/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast attention is: GFLOPS, and the share of what a loop of nothing but multiply-adds reaches on as many threads
 * just before and after; by the clock, and by the CPU time spent, which holds on a busy machine too but does not see
 * threads that wait.  bench_attention [THREADS [SECONDS]]: SECONDS for each line, medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/kernels.h"
#include "tensor/ops.h"

#if defined(__x86_64__)
#include "kernels/x86/x86.h"

struct level {
    const char *name;
    unsigned cpu;
    enum sr_type type;
    sr_peak_fn *peak;
};
static const struct level levels[] = {
    { "avx2 f32", SR_CPU_AVX2, SR_F32, sr_peak_f32_avx2 },
    { "avx512 f32", SR_CPU_AVX2 | SR_CPU_AVX512, SR_F32, sr_peak_f32_avx512 },
    { "avx512 bf16", SR_CPU_AVX2 | SR_CPU_AVX512 | SR_CPU_AVX512_BF16, SR_BF16, sr_peak_bf16_avx512 },
};

/* Seconds by the clock and of the CPU; once divided into work, rates. */
struct pair {
    double wall, cpu;
};

static struct pair now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct pair){ sr_now(), (double)t.tv_sec + 1e-9 * (double)t.tv_nsec };
}

static struct pair rate(double flop, struct pair since)
{
    const struct pair t = now();

    return (struct pair){ flop / (t.wall - since.wall), flop / (t.cpu - since.cpu) };
}

/* sr_peak_gflops() knows the clock alone. */
static struct pair peak(const struct level *l, int threads)
{
    const struct pair start = now();
    double flop = 0;

#pragma omp parallel num_threads(threads) reduction(+ : flop)
    {
        float sink[64];
        for (int i = 0; i < 60; i++) flop += l->peak(sink);
    }
    return rate(flop, start);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_size);
    return x[n / 2];
}

static int bench(const struct level *l, int threads, double seconds, size_t L, size_t T, size_t N, size_t D)
{
    const size_t cols = N * D, size = sr_type_size(l->type);
    const double end = sr_now() + seconds;
    double gflops[64], share[64], cpu_share[64];
    struct sr_ctx *c = NULL;
    struct sr_tensor q = { NULL, l->type, L, cols, cols }, k = { NULL, l->type, T, cols, cols };
    struct sr_kv kv;
    sora_error err = { 0 };
    size_t n = 0;

    if (sr_ctx_open(&c, SR_F32, threads, l->cpu, NULL, NULL, &err) < 0) goto done;
    q.data = sr_aligned(L * cols * size);
    k.data = sr_aligned(T * cols * size);
    if (!q.data || !k.data) goto done;
    for (size_t i = 0; i < (L + T) * cols; i++) {
        const float x = (float)(i * 2654435761u % 1000) / 500 - 1;
        void *p = (uint8_t *)(i < L * cols ? q.data : k.data) + (i < L * cols ? i : i - L * cols) * size;
        if (l->type == SR_F32)
            memcpy(p, &x, sizeof x);
        else
            *(uint16_t *)p = sr_f32_to_bf16(x);
    }
    kv = (struct sr_kv){ k, k };
    sr_ctx_plan(c);
    sr_attention(c, &q, &kv, 1, N, 0.125f, NULL, NULL);
    if (sr_ctx_commit(c, &err) < 0) goto done;
    do {
        const struct pair before = peak(l, threads), start = now();
        struct pair got, after;
        size_t times = 0;
        do {
            sr_attention(c, &q, &kv, 1, N, 0.125f, NULL, NULL);
            sr_scratch_release(c, 0);
            times++;
        } while (sr_now() - start.wall < 0.02);
        got = rate(4.0 * (double)times * (double)L * (double)T * (double)cols, start);
        after = peak(l, threads);
        gflops[n] = got.wall * 1e-9;
        share[n] = 200 * got.wall / (before.wall + after.wall);
        cpu_share[n] = 200 * got.cpu / (before.cpu + after.cpu);
        n++;
    } while (!c->err.code && n < SR_COUNT(share) && (n < 3 || sr_now() < end));
    printf("%-12s %6zu %6zu %3zu %4zu  %8.1f  %5.1f %%  %5.1f %%  %5zu\n", l->name, L, T, N, D,
           median(gflops, n), median(share, n), median(cpu_share, n), n);
    fflush(stdout);
done:
    if (c && !err.code) err = c->err;
    if (err.code) fprintf(stderr, "bench_attention: %s\n", err.text);
    sr_ctx_close(&c);
    sr_free(q.data);
    sr_free(k.data);
    return err.code != 0;
}

int main(int argc, char **argv)
{
    static const size_t shapes[][4] = {     /* L, T, N, D */
        { 1280, 1280, 12, 128 }, { 4590, 4590, 12, 128 }, { 8192, 8192, 12, 128 },      /* Wan, three sizes */
        { 4590, 512, 12, 128 },  { 4590, 16, 12, 128 },                                 /* the same with its prompt */
        { 2048, 2048, 32, 64 },  { 512, 512, 64, 64 },                                  /* LTX; T5 */
        { 144, 1008, 3, 64 },    { 144, 144, 3, 64 }                                    /* pocket */
    };
    const int threads = argc > 1 ? atoi(argv[1]) : sr_cpu_cores();
    const double seconds = argc > 2 ? atof(argv[2]) : 1;
    int failed = 0;

    printf("%d threads; share of the peak by clock and by CPU time\n"
           "kernel            L      T   N    D    GFLOPS    clock      CPU   runs\n", threads);
    for (size_t i = 0; i < SR_COUNT(levels); i++)
        for (size_t k = 0; k < SR_COUNT(shapes) && (sr_cpu_flags() & levels[i].cpu) == levels[i].cpu; k++)
            failed |= bench(&levels[i], threads, seconds, shapes[k][0], shapes[k][1], shapes[k][2], shapes[k][3]);
    return failed;
}
#else
int main(void)
{
    puts("no peak is known for this CPU");
    return 77;
}
#endif
