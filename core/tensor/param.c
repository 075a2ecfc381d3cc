/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers of a file, or made up, as the type that is computed with. */
#include "kernels/kernels.h"
#include "tensor/op.h"

sora_result sr_param_check(const struct sr_param *p, size_t n, const char *what, sora_error *err)
{
    if (p->n != n)
        return sr_fail(err, SORA_ERR_MODEL, "%s: %zu numbers, expected %zu", what, p->n, n);
    if (!p->data && !p->seed) return sr_fail(err, SORA_ERR_MODEL, "%s: missing", what);
    if (p->data && p->type != SR_F32 && p->type != SR_F16 && p->type != SR_BF16)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: type %s is not read; F32, F16 and BF16 are", what,
                       sr_type_name(p->type));
    return SORA_OK;
}

struct sr_param sr_param_part(const struct sr_param *p, size_t first, size_t n)
{
    struct sr_param part = *p;

    if (p->data) part.data = (const uint8_t *)p->data + first * sr_type_size(p->type);
    if (p->seed) part.seed = p->seed + first / 4;           /* see make_up() */
    if (p->source) part.source = sr_rng_u64(p->source, first, n) | 1;
    part.n = n;
    return part;
}

enum { PIECE = 1024 };

/*
 * Made-up numbers first .. first + n: even between -sqrt(3) and sqrt(3) times the scale, so that their deviation is the
 * scale.  Billions of them are drawn to measure a model; a normal distribution costs minutes there and changes nothing.
 */
static void make_up(float *out, const struct sr_param *p, size_t first, size_t n)
{
    const float step = p->scale * (float)(1.7320508 / 32768);
    uint64_t z = 0;

    for (size_t i = first; i < first + n; i++) {
        if (i == first || i % 4 == 0) {
            z = (p->seed + i / 4) * 0x9e3779b97f4a7c15u;    /* SplitMix64: Steele et al., 2014 */
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            z ^= z >> 31;
        }
        out[i - first] = step * ((float)(int)(z >> 16 * (i % 4) & 0xffff) - 32767.5f);
    }
}

/* Numbers first .. first + n, n <= PIECE, as f32. */
static void read_piece(const struct sr_kernels *k, float *out, const struct sr_param *p, size_t first, size_t n)
{
    uint16_t half[PIECE];

    if (!p->data) {
        make_up(out, p, first, n);
    } else if (p->type == SR_F32) {
        memcpy(out, (const uint8_t *)p->data + 4 * first, 4 * n);
    } else {
        memcpy(half, (const uint8_t *)p->data + 2 * first, 2 * n);      /* data may be unaligned */
        (p->type == SR_BF16 ? k->bf16_to_f32 : k->f16_to_f32)(out, half, n);
    }
}

void sr_param_read(const struct sr_kernels *k, void *out, enum sr_type to, const struct sr_param *p, size_t first,
                   size_t n)
{
    if (p->data && p->type == to) {
        const size_t size = sr_type_size(to);
        memcpy(out, (const uint8_t *)p->data + size * first, size * n);
        return;
    }
    for (size_t i = 0; i < n; i += PIECE) {
        const size_t some = SR_MIN(n - i, (size_t)PIECE);
        float f[PIECE];

        read_piece(k, to == SR_F32 ? (float *)out + i : f, p, first + i, some);
        if (to == SR_BF16) k->f32_to_bf16((uint16_t *)out + i, f, some);
    }
}

sora_result sr_param_f32(float **out, const struct sr_param *p, sora_error *err)
{
    struct sr_kernels k;
    sora_result r;
    size_t bytes;

    *out = NULL;
    if ((r = sr_param_check(p, p->n, "parameter", err)) < 0) return r;
    if (SR_MUL_OVERFLOWS(p->n, sizeof(float), &bytes) || !(*out = sr_aligned(bytes)))
        return sr_fail(err, SORA_ERR_NOMEM, "parameter: no memory for %zu numbers", p->n);
    sr_kernels_init(&k, sr_cpu_flags());
    sr_param_read(&k, *out, SR_F32, p, 0, p->n);
    return SORA_OK;
}
