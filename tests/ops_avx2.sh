#!/bin/sh
# The operations as on a CPU without AVX-512: oneDNN takes other kernels there, and other ways to share work.
for t in test_ops test_linear test_conv; do
    ONEDNN_MAX_CPU_ISA=AVX2 "${BUILDDIR:-.}"/tests/$t || exit 1
done
