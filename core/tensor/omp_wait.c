/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GCC's OpenMP lets a thread that waits for the others spin for some milliseconds, as if each had a core of its own.
 * Beside an encoder or a player one of them is now and then without a core, and the other burns its own meanwhile, at
 * every one of the hundreds of barriers of a step: pocket with two threads was then ten times slower than with one.  But
 * where they do have their cores, sleeping and waking costs a third of the speed.
 *
 * A library cannot set OMP_WAIT_POLICY, which is read before it is loaded.  But where a process has more OpenMP threads
 * than there are CPUs, libgomp spins a thousandth of that.  So there is one team more, which sleeps: together with the
 * second thread of any session it is one thread too many.  Without it, they spin.
 *
 * Which it is, passes tell.  Asleep: threads that are woken on a core where somebody works are preempted, or preempt,
 * thousands of times a second; on an idle machine, hardly ever.  Spinning: each has a whole CPU, or it has not.
 */
#define _GNU_SOURCE                 /* RUSAGE_THREAD */
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/base.h"
#include "tensor/omp_wait.h"

#define BUSY_SHARE 0.85             /* of a CPU that a spinning thread has, below which others want it */
#define BUSY_PREEMPTED 400          /* times a second and team that sleeping threads lose their CPU */
#define ENOUGH_S 0.1                /* of passes to judge by: one that was disturbed says nothing */
#define PATIENCE_S 0.2              /* of quiet before they spin; doubled each time that it was a mistake */
#define PATIENCE_MAX_S 25.6

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;      /* guards all up to `lock` */
static int users;
static pthread_t team;
static bool made, spins;
static double since_s, patience_s = PATIENCE_S;                     /* since: when it was last seen busy, or began to spin */
static struct { double wall_s, cpu_s, preempted; } seen;            /* in passes since the last judgement; cpu: a thread's */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static bool end;

static void *sleep_together(void *arg)
{
    const int cpus = omp_get_num_procs();

#pragma omp parallel num_threads(cpus)
    {
        pthread_mutex_lock(&lock);
        while (!end) pthread_cond_wait(&ended, &lock);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

/* With users_lock. */
static void make_team(void)
{
    end = spins = false;
    memset(&seen, 0, sizeof seen);
    made = pthread_create(&team, NULL, sleep_together, NULL) == 0;
}

static void end_team(void)
{
    if (!made) return;
    pthread_mutex_lock(&lock);
    end = true;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    pthread_join(team, NULL);
    made = false;
}

static double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void sr_omp_wait_get(void)
{
    pthread_mutex_lock(&users_lock);
    if (users++ == 0) {
        make_team();
        since_s = now_s(CLOCK_MONOTONIC);
    }
    pthread_mutex_unlock(&users_lock);
}

void sr_omp_wait_put(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0) end_team();
    pthread_mutex_unlock(&users_lock);
}

bool sr_omp_spins(void)
{
    bool s;

    pthread_mutex_lock(&users_lock);
    s = spins;
    pthread_mutex_unlock(&users_lock);
    return s;
}

/* What the threads of the team have computed, and how often they lost their CPU. */
static void look(int threads, double *cpu_s, long *preempted)
{
    double cpu = 0;
    long lost = 0;

#pragma omp parallel num_threads(threads) reduction(+ : cpu, lost)
    {
        struct rusage u;

        cpu += now_s(CLOCK_THREAD_CPUTIME_ID);
        if (getrusage(RUSAGE_THREAD, &u) == 0) lost += u.ru_nivcsw;
    }
    *cpu_s = cpu;
    *preempted = lost;
}

void sr_omp_pass_begin(struct sr_omp_pass *p, int threads)
{
    *p = (struct sr_omp_pass){ .threads = threads };
    if (threads < 2) return;
    p->spins = sr_omp_spins();
    look(threads, &p->cpu_s, &p->preempted);
    p->wall_s = now_s(CLOCK_MONOTONIC);
}

/* With users_lock: how to wait from now on. */
static void judge(double now)
{
    const bool busy = spins ? seen.cpu_s < BUSY_SHARE * seen.wall_s : seen.preempted > BUSY_PREEMPTED * seen.wall_s;

    memset(&seen, 0, sizeof seen);
    if (busy) since_s = now;
    if (busy && spins) {
        patience_s = SR_MIN(2 * patience_s, PATIENCE_MAX_S);
        make_team();
    } else if (!spins && now - since_s > patience_s) {
        end_team();
        spins = true;
        since_s = now;
    } else if (spins && now - since_s > PATIENCE_MAX_S) {
        patience_s = PATIENCE_S;
    }
}

void sr_omp_pass_end(const struct sr_omp_pass *p)
{
    const double now = now_s(CLOCK_MONOTONIC);
    double cpu_s;
    long preempted;

    if (p->threads < 2) return;
    look(p->threads, &cpu_s, &preempted);
    pthread_mutex_lock(&users_lock);
    if (p->spins == spins) {                        /* else another session has changed it meanwhile */
        seen.wall_s += now - p->wall_s;
        seen.cpu_s += (cpu_s - p->cpu_s) / p->threads;
        seen.preempted += (double)(preempted - p->preempted);
        if (seen.wall_s >= ENOUGH_S) judge(now);
    }
    pthread_mutex_unlock(&users_lock);
}
