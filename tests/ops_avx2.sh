#!/bin/sh
# The operations as on a CPU without AVX-512: oneDNN takes other kernels there, and other ways to share work.
ONEDNN_MAX_CPU_ISA=AVX2 exec "${BUILDDIR:-.}"/tests/test_ops
