/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>

#include "base/base.h"

#if defined(__x86_64__)
#include <cpuid.h>

unsigned sr_cpu_flags(void)
{
    unsigned flags = 0, a, b, c, d;

    /* The builtins look at XCR0 too: a flag is set only where the kernel saves the registers. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
        (c & bit_F16C))
        flags |= SR_CPU_AVX2;
    if ((flags & SR_CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        flags |= SR_CPU_AVX512;
    if ((flags & SR_CPU_AVX512) && __builtin_cpu_supports("avx512bf16")) flags |= SR_CPU_AVX512_BF16;
    if ((flags & SR_CPU_AVX512) && __builtin_cpu_supports("avx512vnni")) flags |= SR_CPU_AVX512_VNNI;
    return flags;
}
#else
unsigned sr_cpu_flags(void)
{
    return 0;
}
#endif

/* A core is counted once, by its lowest hardware thread that we may run on. */
static bool first_of_its_core(int cpu, const cpu_set_t *allowed)
{
    char path[96], list[256];
    FILE *f;
    int lo, hi, n, at = 0;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!(f = fopen(path, "re"))) return true;
    if (!fgets(list, sizeof list, f)) list[0] = 0;
    fclose(f);
    while (sscanf(list + at, "%d%n", &lo, &n) == 1) {           /* "0,4" or "0-1" */
        at += n;
        hi = lo;
        if (list[at] == '-' && sscanf(list + at + 1, "%d%n", &hi, &n) == 1) at += n + 1;
        for (int i = lo; i <= hi && i < CPU_SETSIZE; i++)
            if (i >= 0 && CPU_ISSET(i, allowed)) return i == cpu;
        if (list[at] != ',') break;
        at++;
    }
    return true;
}

int sr_cpu_cores(void)
{
    cpu_set_t set;
    int n = 0;

    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set) && first_of_its_core(i, &set)) n++;
    return SR_MAX(n, 1);
}

void sr_cpu_name(char *out, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *v = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !v) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%s", v + 1 + strspn(v + 1, " "));
        break;
    }
    if (f) fclose(f);
}
