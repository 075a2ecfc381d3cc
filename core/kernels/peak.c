/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the CPU can do at most, from loops that live in registers. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include "kernels/x86/x86.h"

static sr_peak_fn *loop_for(enum sr_peak what, unsigned cpu)
{
    switch (what) {
    case SR_PEAK_F32: return cpu & SR_CPU_AVX512 ? sr_peak_f32_avx512 : cpu & SR_CPU_AVX2 ? sr_peak_f32_avx2 : NULL;
    case SR_PEAK_BF16: return cpu & SR_CPU_AVX512_BF16 ? sr_peak_bf16_avx512 : NULL;
    case SR_PEAK_INT8:
        return cpu & SR_CPU_AVX512_VNNI ? sr_peak_int8_avx512 : cpu & SR_CPU_AVX2 ? sr_peak_int8_avx2 : NULL;
    }
    return NULL;
}

double sr_peak_gflops(enum sr_peak what, unsigned cpu, int threads, double seconds)
{
    sr_peak_fn *loop = loop_for(what, cpu & sr_cpu_flags());
    double done = 0, began = 0, ended = 0;

    if (!loop) return 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
    {
        float sink[64] = { 0 };
        double until;

        loop(sink);                     /* clocks go up, and down again where wide vectors are hot */
#pragma omp barrier
#pragma omp single
        began = sr_now();
        until = began + seconds;
        while (sr_now() < until) done += loop(sink);
#pragma omp barrier
#pragma omp single
        ended = sr_now();
        if (sink[0] == 1e30f) done = 0; /* never; but the sums must be wanted */
    }
    return done / (ended - began) * 1e-9;
}
#else
double sr_peak_gflops(enum sr_peak what, unsigned cpu, int threads, double seconds)
{
    return 0;
}
#endif
