/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention: operands into the layout that attention_vec.h describes; D is a multiple of 8. */
#include "kernels/x86/attention.h"
#include "kernels/x86/vec.h"

/* What becomes of the 32 bits of a packed element: a float as it is, a bf16 made a float, two bf16 as they are. */
enum form { F32, WIDE, PAIR };

/* Packed elements d .. d + 8 of a row of form f. */
INLINE __m256i load8(const void *row, size_t d, const enum form f)
{
    if (f == WIDE)
        return _mm256_slli_epi32(
            _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)((const uint16_t *)row + d))), 16);
    return _mm256_loadu_si256((const __m256i *)((const uint32_t *)row + d));
}

INLINE void store8(uint32_t *out, __m256i v)
{
    _mm256_storeu_si256((__m256i *)out, v);
}

INLINE void transpose8(__m256i x[8])
{
    __m256i a[8], b[8];

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        x[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

/* n rows of D elements -> panels [D, panel]: 8 rows by 8 elements at a time. */
INLINE void pack_k(uint32_t *out, const void *const *rows, size_t n, size_t D, const size_t panel, const enum form f)
{
    const size_t elems = f == PAIR ? D / 2 : D;

    for (size_t j = 0; j < n; j += 8) {
        const size_t first = j - j % panel, w = SR_MIN(panel, n - first);
        uint32_t *to = out + first * elems + j % panel;
        size_t d = 0;

        for (; d + 8 <= elems; d += 8) {
            __m256i x[8];
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) x[i] = load8(rows[j + i], d, f);
            transpose8(x);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) store8(to + (d + i) * w, x[i]);
        }
        for (; d < elems; d++)          /* pairs alone: D / 2 is a multiple of 4 only */
            for (size_t i = 0; i < 8; i++) memcpy(to + d * w + i, (const uint32_t *)rows[j + i] + d, sizeof *to);
    }
}

/* n rows of D elements -> panels [n, panel], or [n / 2, panel] of pairs; zeros in the columns that width adds. */
INLINE void pack_v(uint32_t *out, const void *const *rows, size_t n, size_t D, const size_t panel, const size_t width,
                   const enum form f)
{
    const size_t elems = f == PAIR ? n / 2 : n, cols = SR_ROUND_UP(D, width);

    for (size_t j = 0; j < elems; j++) {
        const void *row = rows[f == PAIR ? 2 * j : j], *next = f == PAIR ? rows[2 * j + 1] : NULL;
        for (size_t c = 0; c < cols; c += 8) {
            const size_t first = c - c % panel, w = SR_MIN(panel, cols - first);
            __m256i x = _mm256_setzero_si256();
            if (c < D && f == PAIR)
                x = _mm256_or_si256(_mm256_srli_epi32(load8(row, c, WIDE), 16), load8(next, c, WIDE));
            else if (c < D)
                x = load8(row, c, f);
            store8(out + first * elems + j * w + c % panel, x);
        }
    }
}

#define PACK(f_name, form, panel, width)                                                                               \
    void sr_attention_pack_k##panel##_##f_name(void *out, const void *const *rows, size_t n, size_t D)                 \
    {                                                                                                                  \
        pack_k(out, rows, n, D, panel, form);                                                                          \
    }                                                                                                                  \
    void sr_attention_pack_v##panel##_##f_name(void *out, const void *const *rows, size_t n, size_t D)                 \
    {                                                                                                                  \
        pack_v(out, rows, n, D, panel, width, form);                                                                   \
    }
PACK(f32, F32, 16, 8)
PACK(wide, WIDE, 16, 8)
PACK(f32, F32, 64, 16)
PACK(wide, WIDE, 64, 16)
PACK(pair, PAIR, 64, 16)

INLINE void pack_q(uint32_t *out, const void *const *rows, size_t n, size_t D, const enum form f)
{
    const size_t elems = f == PAIR ? D / 2 : D;

    for (size_t i = 0; i < n; i++, out += elems) {
        size_t d = 0;
        for (; d + 8 <= elems; d += 8) store8(out + d, load8(rows[i], d, f));
        memcpy(out + d, (const uint32_t *)rows[i] + d, (elems - d) * sizeof *out);      /* pairs alone */
    }
}

void sr_attention_pack_q_f32(void *out, const void *const *rows, size_t n, size_t D)
{
    pack_q(out, rows, n, D, F32);
}

void sr_attention_pack_q_wide(void *out, const void *const *rows, size_t n, size_t D)
{
    pack_q(out, rows, n, D, WIDE);
}

void sr_attention_pack_q_pair(void *out, const void *const *rows, size_t n, size_t D)
{
    pack_q(out, rows, n, D, PAIR);
}
