# SPDX-License-Identifier: LGPL-2.1-or-later
"""Matrix products of the training in bf16 where the machine multiplies it, else in f32; everything else is f32.

Measured on one Zen 4 core: 217 against 70..97 GFLOP/s for the products of this model. Without AVX512-BF16 or AMX bf16
is slower than f32 by far.
"""

import torch
import torch.nn.functional as F


def best_dtype(device=torch.device("cpu")):
    if device.type == "cuda":
        return torch.bfloat16
    cpu = torch.backends.cpu.get_cpu_capability()
    flags = open("/proc/cpuinfo").read() if cpu.startswith("AVX512") else ""
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


class Product:
    """dtype of the products; f32 unless the training asks for more speed."""

    dtype = torch.float32


def linear(x, weight, bias=None):
    """x [..., in], weight [out, in] -> [..., out] in the products' type: what follows widens it as it needs."""
    if Product.dtype == torch.float32:
        return F.linear(x, weight, bias)
    return F.linear(x.to(Product.dtype), weight.to(Product.dtype), None if bias is None else bias.to(Product.dtype))


def attend(q, k, v):
    """softmax(q k / sqrt(D)) v of [B, N, L, D]; on CPUs spelled out in bf16, where the fused one is slower than in f32."""
    if Product.dtype == torch.float32 or q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v)
    return (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
