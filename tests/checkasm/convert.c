/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkasm.h"

/* Conversions are exact: every bit counts.  Half way cases, both infinities, NaN, denormals and zeros included. */
static const uint32_t special[] = { 0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff,
                                    0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x00000001, 0x007fffff,
                                    0x80012345 };

static void check_f32_to_bf16(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    for (size_t k = 0; k < checkasm_size_count; k++) {
        const size_t n = checkasm_sizes[k];
        struct operand in = operand_new(n, SR_E_F32, k), want = operand_new(n, SR_E_BF16, 50);
        struct operand got = operand_new(n, SR_E_BF16, 51);

        for (size_t i = 0; i < n && i < SR_COUNT(special); i++)
            memcpy((float *)in.data + n - 1 - i, &special[i], sizeof(float));
        ref->f32_to_bf16(want.data, in.data, n);
        opt->f32_to_bf16(got.data, in.data, n);
        ck_assert_msg(!memcmp(got.data, want.data, 2 * n), "%s: f32_to_bf16 of %zu differs", checkasm_level, n);
        if (n >= 1536)
            BENCH("f32_to_bf16", n, ref->f32_to_bf16(want.data, in.data, n), opt->f32_to_bf16(got.data, in.data, n));
        operand_free(&in);
        operand_free(&want);
        operand_free(&got);
    }
}

static bool same_bits(float a, float b)
{
    return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b));
}

/* All 65536 values of both 16-bit types. */
static void check_to_f32(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    for (size_t k = 0; k < checkasm_size_count; k++) {
        const size_t n = checkasm_sizes[k];
        struct operand in = operand_new(n, SR_E_BF16, k), want = operand_new(n, SR_E_F32, 50);
        struct operand got = operand_new(n, SR_E_F32, 51);
        uint16_t *h = in.data;
        const float *g = got.data, *w = want.data;

        for (size_t from = 0; from < 65536; from += n >= 384 ? n : 65536) {
            for (size_t i = 0; i < n; i++) h[i] = (uint16_t)(from + i + (n < 384 ? 0x7bf8 : 0));
            ref->bf16_to_f32(want.data, h, n);
            opt->bf16_to_f32(got.data, h, n);
            for (size_t i = 0; i < n; i++) ck_assert_msg(same_bits(g[i], w[i]), "%s: bf16 %04x", checkasm_level, h[i]);
            ref->f16_to_f32(want.data, h, n);
            opt->f16_to_f32(got.data, h, n);
            for (size_t i = 0; i < n; i++) ck_assert_msg(same_bits(g[i], w[i]), "%s: f16 %04x", checkasm_level, h[i]);
        }
        if (n >= 1536) {
            BENCH("bf16_to_f32", n, ref->bf16_to_f32(want.data, h, n), opt->bf16_to_f32(got.data, h, n));
            BENCH("f16_to_f32", n, ref->f16_to_f32(want.data, h, n), opt->f16_to_f32(got.data, h, n));
        }
        operand_free(&in);
        operand_free(&want);
        operand_free(&got);
    }
}

CHECK_LEVELS(f32_to_bf16)
CHECK_LEVELS(to_f32)

void checkasm_convert(TCase *tc)
{
    tcase_add_test(tc, test_f32_to_bf16);
    tcase_add_test(tc, test_to_f32);
}
