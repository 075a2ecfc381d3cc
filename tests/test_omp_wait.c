/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* While a context is open, a thread that waits at the end of a parallel region sleeps: seen in the time of the CPU.  Passes
   that have the CPUs to themselves make it spin, and others end that. */
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "near.h"
#include "tensor/omp_wait.h"
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

/* 20 ms with many barriers, as a pass of a small model is. */
static void pass(void)
{
    static volatile float x[2];
    struct sr_omp_pass p;

    sr_omp_pass_begin(&p, 2);
    for (int i = 0; i < 400; i++) {
#pragma omp parallel num_threads(2)
        for (int k = 0; k < 20000; k++) x[omp_get_thread_num()] += 1;
    }
    sr_omp_pass_end(&p);
}

static atomic_bool burn_on;

static void *burn(void *unused)
{
    while (atomic_load(&burn_on)) { }
    return unused;
}

START_TEST(test_follows_the_machine)
{
    double start = (double)time(NULL);
    pthread_t burner[8];
    double load = 0;
    struct sr_ctx *c;

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert(!sr_omp_spins());
    while (!sr_omp_spins() && (double)time(NULL) < start + 20) pass();
    if (!sr_omp_spins()) {
        ck_assert_int_gt(getloadavg(&load, 1), 0);
        ck_assert_msg(omp_get_num_procs() < 2 || load > 0.6 * omp_get_num_procs(), "never spins, with a load of %.2f", load);
    }
    atomic_store(&burn_on, true);
    for (size_t i = 0; i < SR_COUNT(burner); i++) ck_assert_int_eq(pthread_create(&burner[i], NULL, burn, NULL), 0);
    start = (double)time(NULL);
    while (sr_omp_spins() && (double)time(NULL) < start + 20) pass();      /* a pass or two: the burners must get their turn */
    ck_assert_msg(omp_get_num_procs() > 4 || !sr_omp_spins(), "spins beside %d others", (int)SR_COUNT(burner));
    atomic_store(&burn_on, false);
    for (size_t i = 0; i < SR_COUNT(burner); i++) pthread_join(burner[i], NULL);
    sr_ctx_close(&c);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, NULL), SORA_OK);      /* a new one begins asleep */
    ck_assert(!sr_omp_spins());
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

RUN_TESTS("omp_wait", test_sleeps, test_follows_the_machine)
