/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkasm.h"

static void check_rms_rope(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    static const size_t sizes[][2] = { { 2, 2 }, { 12, 4 }, { 24, 6 }, { 40, 8 }, { 36, 18 }, { 40, 40 }, { 102, 34 },
                                       { 128, 64 }, { 1536, 128 }, { 2048, 64 } };    /* all channels, of one head */
    static const char *const names[] = { "rms_rope_f32", "rms_rope_bf16" };

    for (int type = 0; type < 2; type++)
        for (size_t k = 0; k < SR_COUNT(sizes); k++)
            for (int parts = 1; parts < 4; parts++) {           /* 1: norm, 2: rotation, 3: both */
                const size_t n = sizes[k][0], d = sizes[k][1];
                struct operand want = operand_new(n, (enum sr_elem)type, k), got = operand_copy(&want);
                struct operand w = operand_new(n, SR_E_F32, 50), cos = operand_new(d / 2, SR_E_F32, 51);
                struct operand sin = operand_new(d / 2, SR_E_F32, 52);
                const float *pw = parts & 1 ? w.data : NULL;
                const float *pc = parts & 2 ? cos.data : NULL, *ps = parts & 2 ? sin.data : NULL;

                for (size_t i = 0; i < d / 2; i++) {
                    const float angle = ((float *)cos.data)[i];
                    ((float *)cos.data)[i] = cosf(angle);
                    ((float *)sin.data)[i] = sinf(angle);
                }
                ref->rms_rope[type](want.data, pw, 1e-6f, pc, ps, n, d);
                opt->rms_rope[type](got.data, pw, 1e-6f, pc, ps, n, d);
                operands_near(&got, &want, 1e-5, 4e-6, names[type]);
                if (n >= 1536 && parts == 3)
                    BENCH(names[type], n, ref->rms_rope[type](want.data, pw, 1e-6f, pc, ps, n, d),
                          opt->rms_rope[type](got.data, pw, 1e-6f, pc, ps, n, d));
                operand_free(&want);
                operand_free(&got);
                operand_free(&w);
                operand_free(&cos);
                operand_free(&sin);
            }
}

CHECK_LEVELS(rms_rope)

void checkasm_rope(TCase *tc)
{
    tcase_add_test(tc, test_rms_rope);
}
