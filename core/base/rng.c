/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and Box-Muller. */
#include <math.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"

static void philox(uint32_t out[4], uint64_t key, uint64_t hi, uint64_t lo)
{
    uint32_t c[4] = { (uint32_t)lo, (uint32_t)(lo >> 32), (uint32_t)hi, (uint32_t)(hi >> 32) };
    uint32_t k[2] = { (uint32_t)key, (uint32_t)(key >> 32) };

    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xd2511f53u * c[0], b = (uint64_t)0xcd9e8d57u * c[2];
        const uint32_t n[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1],
                                (uint32_t)a };
        memcpy(c, n, sizeof c);
        k[0] += 0x9e3779b9u;
        k[1] += 0xbb67ae85u;
    }
    memcpy(out, c, sizeof c);
}

uint64_t sr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t u[4];

    philox(u, seed, stream, index);
    return (uint64_t)u[1] << 32 | u[0];
}

void sr_rng_normal(float *out, size_t n, uint64_t seed, uint64_t stream, uint64_t first)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t u[4];
        float z[4];

        philox(u, seed, stream, first / 4 + i / 4);
        for (int j = 0; j < 4; j += 2) {
            const double r = sqrt(-2.0 * log(((double)u[j] + 1.0) * 0x1p-32));      /* (0, 1]: log is finite */
            const double a = 6.283185307179586 * ((double)u[j + 1] * 0x1p-32);
            z[j] = (float)(r * cos(a));
            z[j + 1] = (float)(r * sin(a));
        }
        memcpy(out + i, z, SR_MIN(n - i, (size_t)4) * sizeof *out);
    }
}

uint64_t sr_rng_draw_seed(void)
{
    uint64_t v;

    if (getrandom(&v, sizeof v, 0) != sizeof v) v = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
    return v >> 1;
}
