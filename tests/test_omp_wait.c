/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* While a context is open, a thread that waits at the end of a parallel region sleeps: seen in the time of the CPU. */
#include <omp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "near.h"
#include "tensor/tensor.h"

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What the process computes in 100 parallel regions of which one thread is late by 2 ms. */
static double late(void)
{
    const double start = cpu_seconds();

    for (int i = 0; i < 100; i++) {
#pragma omp parallel num_threads(2)
        if (omp_get_thread_num()) usleep(2000);
    }
    return cpu_seconds() - start;
}

START_TEST(test_sleeps)
{
    struct sr_ctx *c, *other;
    const double spinning = late();
    double sleeping[2];

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_int_eq(sr_ctx_open(&other, SR_F32, 3, ~0u, NULL, NULL, NULL), SORA_OK);
    sleeping[0] = late();
    sr_ctx_close(&other);
    sleeping[1] = late();                       /* the other one's end does not end it */
    sr_ctx_close(&c);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(sleeping[i] < 0.25 * spinning + 0.02, "%.3f s of the CPU, %.3f s without a context", sleeping[i], spinning);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, NULL), SORA_OK);      /* and again */
    sr_ctx_close(&c);
}
END_TEST

/* The other tests run with a wait policy, which OpenMP has read by now: once more without it. */
__attribute__((constructor)) static void without_policy(int argc, char **argv)
{
    if (!getenv("OMP_WAIT_POLICY")) return;
    unsetenv("OMP_WAIT_POLICY");
    execv("/proc/self/exe", argv);
}

RUN_TESTS("omp_wait", test_sleeps)
