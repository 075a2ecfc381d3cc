/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every kernel at every CPU level that this machine has, against its plain C meaning.
 *
 * Operands lie between guard bytes and off every alignment.  A check is a function of the two tables; CHECK_LEVELS()
 * makes it a test.  With --bench the program prints nanoseconds per call too.
 */
#ifndef CHECKASM_H
#define CHECKASM_H

#include <stdlib.h>

#include "kernels/kernels.h"
#include "near.h"

enum { GUARD_BYTES = 64 };

extern bool checkasm_bench;
extern const char *checkasm_level;              /* "avx2": for messages */

/* `bytes` between guards, `off` bytes off a 64-byte boundary. */
void *guarded(size_t bytes, size_t off);
void check_guard(const void *p, size_t bytes);
void free_guarded(void *p, size_t off);

/* An operand of n elements of either type: as the kernels take it, and what it is as floats. */
struct operand {
    void *data;
    size_t n;
    enum sr_elem type;
};
struct operand operand_new(size_t n, enum sr_elem type, uint64_t stream);       /* N(0, 1) numbers */
struct operand operand_copy(const struct operand *o);
void operand_free(struct operand *o);
/* Equal within `relative` of each number plus `absolute`; bf16 besides within one step of its last bit. */
void operands_near(const struct operand *got, const struct operand *want, double relative, double absolute,
                   const char *what);

typedef void checkasm_fn(const struct sr_kernels *ref, const struct sr_kernels *opt);
void checkasm_levels(checkasm_fn *check);

#define CHECK_LEVELS(name)                                                                                             \
    START_TEST(test_##name)                                                                                            \
    {                                                                                                                  \
        checkasm_levels(check_##name);                                                                                 \
    }                                                                                                                  \
    END_TEST

/* Prints the time of `call` in nanoseconds, plain C and this level. */
#define BENCH(what, n, c_call, opt_call)                                                                               \
    do {                                                                                                               \
        if (checkasm_bench) {                                                                                          \
            double t_[2];                                                                                              \
            for (int w_ = 0; w_ < 2; w_++) {                                                                           \
                long reps_ = 1;                                                                                        \
                for (;;) {                                                                                             \
                    const double from_ = sr_now();                                                                     \
                    for (long r_ = 0; r_ < reps_; r_++) {                                                              \
                        if (w_)                                                                                        \
                            opt_call;                                                                                  \
                        else                                                                                           \
                            c_call;                                                                                    \
                    }                                                                                                  \
                    t_[w_] = (sr_now() - from_) / (double)reps_;                                                       \
                    if (t_[w_] * (double)reps_ > 0.01) break;                                                          \
                    reps_ *= 4;                                                                                        \
                }                                                                                                      \
            }                                                                                                          \
            checkasm_print(what, n, t_[0], t_[1]);                                                                     \
        }                                                                                                              \
    } while (0)
void checkasm_print(const char *what, size_t n, double c_seconds, double opt_seconds);

/* Sizes around every vector width, then real ones. */
extern const size_t checkasm_sizes[];
extern const size_t checkasm_size_count;

void checkasm_convert(TCase *tc);
void checkasm_norm(TCase *tc);
void checkasm_rope(TCase *tc);
void checkasm_gate(TCase *tc);
void checkasm_attention(TCase *tc);

#endif
