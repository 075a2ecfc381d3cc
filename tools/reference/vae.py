"""Reference pictures of the video decoders, from small random weights.

    python tools/reference/vae.py tests/ref
    python tools/reference/vae.py OUT wide      the same in the published widths, for comparison on the spot: 1.5 GB

writes folders and files that tests/test_vae.c reads:
    vae_wan21/, vae_wan22/          AutoencoderKLWan of diffusers, the two layouts: config.json, the decoder's weights
    vae_wan21_original.safetensors, vae_wan22_original.safetensors  the same under the names of Wan's own files, which
                                    have no config: mean and std of their latents are the published ones
    vae_tiny_wan21.safetensors, vae_tiny_wan22.safetensors      the tiny decoder (TAEHV), restated below
    vae_block/                      SoraBlockDecoder, restated below
    vae_*_ref.safetensors           latents [F, C, H, W] in the transformer's space, frames [N, 3, H', W'] in 0..1

Weights are rounded to bf16, so that they are small in the file and equal on both sides; everything is computed in f32.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

import fresh

torch.set_num_threads(1)


def randomise(state, generator, gain=1.0):
    """Every number matters: norms about 1, biases about 0.1, weights that keep the size of their input."""
    out = {}
    for name in sorted(state):
        t = state[name]
        r = torch.randn(t.shape, generator=generator)
        if name.endswith("gamma"):
            r = 1 + 0.2 * r
        elif name.endswith("bias"):
            r = 0.1 * r
        else:
            r = gain * r / (t[0].numel() ** 0.5)
        out[name] = r.to(torch.bfloat16).float()
    return out


def write(path, tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    os.chmod(path, 0o644)
    print(f"{path}: {os.path.getsize(path)} bytes")


def write_reference(path, latents, frames, **more):
    write(path, {"latents": latents.float(), "frames": frames.float(), **more})


def in_bf16(state):
    return {k: v.to(torch.bfloat16) for k, v in state.items()}


# ---- Wan -------------------------------------------------------------------------------------------------------------

def wan(folder, name, size, seed, published=None, **config):
    """published: mean and std for a file without a config, if the config's own are to differ from them."""
    g = torch.Generator().manual_seed(fresh.seed(seed))
    z = config["z_dim"]
    if published:
        config["latents_mean"] = [round(float(v), 4) for v in 0.3 * torch.randn(z, generator=g)]
        config["latents_std"] = [round(float(v), 4) for v in 0.5 + torch.rand(z, generator=g)]
    vae = AutoencoderKLWan(**config).eval()
    config = vae.config
    decoder = {k: v for k, v in vae.state_dict().items() if k.startswith(("decoder.", "post_quant_conv."))}
    decoder = randomise(decoder, g, 1.1)
    vae.load_state_dict(decoder, strict=False)

    frames, rows, columns = size
    latents = torch.randn((1, z, frames, rows, columns), generator=g)
    view = (1, z, 1, 1, 1)
    x = latents * torch.tensor(config["latents_std"]).view(view) + torch.tensor(config["latents_mean"]).view(view)
    with torch.no_grad():
        whole = vae.decode(x).sample
        for n in range(1, frames):      # a shorter clip is the beginning of a longer one: that is what streaming needs
            part = vae.decode(x[:, :, :n]).sample
            difference = (part - whole[:, :, :part.shape[2]]).abs().max()
            assert difference < 1e-4, (n, difference)
    inside = (whole.abs() < 1).float().mean()
    print(f"{name}: {tuple(whole.shape)}, std {whole.std():.3f}, {inside:.0%} inside -1..1")
    out = f"{folder}/{name}"
    os.makedirs(out, exist_ok=True)
    vae.save_config(out)
    write(f"{out}/diffusion_pytorch_model.safetensors", in_bf16(decoder))
    more = {}
    if published:
        mean, std = (torch.tensor(v).view(view) for v in published)
        more["latents_published"] = ((x - mean) / std)[0].transpose(0, 1)
    write_reference(f"{folder}/{name}_ref.safetensors", latents[0].transpose(0, 1),
                    whole[0].transpose(0, 1) / 2 + 0.5, **more)
    write(f"{folder}/{name}_original.safetensors", in_bf16(
        {original_name(k, config["num_res_blocks"] + 1, config["is_residual"]): v for k, v in decoder.items()}))


def original_name(name, per_block, residual):
    """Wan's own name of what diffusers calls `name`; per_block: residual blocks of one stage."""
    inner = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6",
             "conv_shortcut": "shortcut"}
    p = name.split(".")
    if p[0] == "post_quant_conv":
        return ".".join(["conv2"] + p[1:])
    if p[1] == "conv_in":
        return ".".join(["decoder", "conv1"] + p[2:])
    if p[1] == "norm_out":
        return ".".join(["decoder", "head", "0"] + p[2:])
    if p[1] == "conv_out":
        return ".".join(["decoder", "head", "2"] + p[2:])
    if p[1] == "mid_block":
        if p[2] == "attentions":
            return ".".join(["decoder", "middle", "1"] + p[4:])
        return ".".join(["decoder", "middle", str(2 * int(p[3])), inner[p[4]]] + p[5:])
    stage = int(p[2])
    if p[3] == "resnets":
        index, rest = int(p[4]), [inner[p[5]]] + p[6:]
    else:                               # upsampler (residual layout) or upsamplers.0
        index, rest = per_block, p[4:] if residual else p[5:]
    if residual:
        return ".".join(["decoder", "upsamples", str(stage), "upsamples", str(index)] + rest)
    return ".".join(["decoder", "upsamples", str(stage * (per_block + 1) + index)] + rest)


# ---- The tiny decoder ------------------------------------------------------------------------------------------------

class Memory:
    """x + three convolutions of x and of what this block was given one frame before (zeros at first)."""

    def __init__(self, weights, index):
        self.w = [weights[f"decoder.{index}.conv.{i}.weight"] for i in (0, 2, 4)]
        self.b = [weights[f"decoder.{index}.conv.{i}.bias"] for i in (0, 2, 4)]

    def __call__(self, x):              # x [N, C, H, W], frames one after the other
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        h = torch.cat([x, before], 1)
        for i in range(3):
            h = F.conv2d(h, self.w[i], self.b[i], padding=1)
            if i < 2:
                h = h.relu()
        return (h + x).relu()


def tiny_shapes(channels, widths, grow, picture):
    """Name -> shape. The numbers count the steps of the published model, of which some have no weights."""
    shapes = {"decoder.1.weight": (widths[0], channels, 3, 3), "decoder.1.bias": (widths[0],)}
    for stage in range(3):
        n, at = widths[stage], 3 + 6 * stage
        for i in range(at, at + 3):
            for k, inputs in ((0, 2 * n), (2, n), (4, n)):
                shapes[f"decoder.{i}.conv.{k}.weight"] = (n, inputs, 3, 3)
                shapes[f"decoder.{i}.conv.{k}.bias"] = (n,)
        shapes[f"decoder.{at + 4}.conv.weight"] = (grow[stage] * n, n, 1, 1)
        shapes[f"decoder.{at + 5}.weight"] = (widths[stage + 1], n, 3, 3)
    shapes["decoder.22.weight"] = (picture, widths[3], 3, 3)
    shapes["decoder.22.bias"] = (picture,)
    return shapes


def tiny_decode(w, latents, patch):
    """latents [F, C, H, W] -> [4 F - 3, 3, H', W']"""
    x = (latents / 3).tanh() * 3
    x = F.conv2d(x, w["decoder.1.weight"], w["decoder.1.bias"], padding=1).relu()
    for stage, times in enumerate((1, 2, 2)):
        at = 3 + 6 * stage
        for i in range(at, at + 3):
            x = Memory(w, i)(x)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        n = x.shape[1]
        grow = w[f"decoder.{at + 4}.conv.weight"][-times * n:]      # a larger one: its last rows are the ones to use
        x = F.conv2d(x, grow).reshape(-1, n, *x.shape[2:])
        x = F.conv2d(x, w[f"decoder.{at + 5}.weight"], padding=1)
    x = F.conv2d(x.relu(), w["decoder.22.weight"], w["decoder.22.bias"], padding=1)
    if patch > 1:
        x = F.pixel_shuffle(x, patch)
    return x.clamp(0, 1)[3:]


def tiny(folder, name, size, seed, channels, widths, grow, patch):
    g = torch.Generator().manual_seed(fresh.seed(seed))
    shapes = tiny_shapes(channels, widths, grow, 3 * patch * patch)
    w = randomise({k: torch.empty(s) for k, s in shapes.items()}, g, 1.1)
    w["decoder.22.weight"] *= 0.5
    w["decoder.22.bias"] = torch.full_like(w["decoder.22.bias"], 0.5)
    frames, rows, columns = size
    latents = 2 * torch.randn((frames, channels, rows, columns), generator=g)
    with torch.no_grad():
        out = tiny_decode(w, latents, patch)
    print(f"{name}: {tuple(out.shape)}, std {out.std():.3f}, {((out > 0) & (out < 1)).float().mean():.0%} inside 0..1")
    write(f"{folder}/{name}.safetensors", in_bf16(w))
    write_reference(f"{folder}/{name}_ref.safetensors", latents, out)


# ---- The pocket model's decoder -------------------------------------------------------------------------------------

def refine_shapes(channels, kernel, width, inner, blocks, outputs):
    shapes = {"conv_in.weight": (width, 2 * channels, kernel, kernel), "conv_in.bias": (width,)}
    for i in range(blocks):
        shapes |= {f"blocks.{i}.fc1.weight": (inner, width), f"blocks.{i}.fc1.bias": (inner,),
                   f"blocks.{i}.fc2.weight": (width, inner), f"blocks.{i}.fc2.bias": (width,)}
    shapes |= {"out.weight": (outputs, width), "out.bias": (outputs,)}
    return {f"refine.{k}": v for k, v in shapes.items()}


def refine(w, latents, kernel, blocks):
    """latents [F, C, H, W], each beside the one before it, the first beside itself -> [F, times * 3 * side * side, H, W]"""
    def linear(name, x):
        return F.linear(x, w[f"refine.{name}.weight"], w[f"refine.{name}.bias"])
    def norm(x):
        return F.layer_norm(x, x.shape[-1:], eps=1e-5)
    seen = F.pad(torch.cat([torch.cat([latents[:1], latents[:-1]]), latents], 1), (kernel // 2,) * 4, mode="replicate")
    x = F.conv2d(seen, w["refine.conv_in.weight"], w["refine.conv_in.bias"]).permute(0, 2, 3, 1)
    for i in range(blocks):
        x = x + linear(f"blocks.{i}.fc2", linear(f"blocks.{i}.fc1", norm(x)).relu())
    return linear("out", norm(x)).permute(0, 3, 1, 2)


def block(folder, name, size, seed, channels, times, side, network=None):
    g = torch.Generator().manual_seed(fresh.seed(seed))
    outputs = times * 3 * side * side
    shapes = {"conv_in.weight": (outputs, channels, 3, 3), "conv_in.bias": (outputs,)}
    if network:
        shapes |= refine_shapes(channels, *network, outputs)
    w = {k: v.half() for k, v in randomise({k: torch.empty(s) for k, s in shapes.items()}, g, 0.6).items()}
    stored, w = w, {k: v.float() for k, v in w.items()}
    frames, rows, columns = size
    latents = torch.randn((frames, channels, rows, columns), generator=g)
    if network:                                                 # what stands still, or in part, is not worked on again
        corner, edge = latents[2, :, :3, :4].clone(), latents[3, :, rows // 2:, -2:].clone()
        latents[1:] = latents[0]
        latents[2:, :, :3, :4], latents[3:, :, rows // 2:, -2:] = corner, edge
    x = F.conv2d(F.pad(latents, (1, 1, 1, 1), mode="replicate"), w["conv_in.weight"], w["conv_in.bias"])
    x = F.pixel_shuffle(x, side)
    if network:
        kernel, _, _, blocks = network
        more = F.pixel_shuffle(refine(w, latents, kernel, blocks), side)
        print(f"{name}: std {x.std():.3f}, of what the network adds {more.std():.3f}")
        x = x + more
    x = x.unflatten(1, (times, 3)).flatten(0, 1)[times - 1:]
    out = f"{folder}/{name}"
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/config.json", "w") as f:
        json.dump({
            "_class_name": "SoraBlockDecoder", "latent_channels": channels, "latent_rows": rows,
            "latent_columns": columns, "kernel_size": 3, "padding_mode": "replicate", "frames_per_latent": times,
            "first_frames_dropped": times - 1, "pixel_shuffle": side, "channel_order": ["frame", "rgb", "y", "x"],
            "output_range": [-1, 1], "scaling_factor": 1.0,
            **dict(zip(("refine_kernel", "refine_width", "refine_inner", "refine_blocks"), network or ()))}, f, indent=2)
    write(f"{out}/diffusion_pytorch_model.safetensors", stored)
    write_reference(f"{folder}/{name}_ref.safetensors", latents, (x / 2 + 0.5).clamp(0, 1))


# Of the 48 channels of Wan 2.2, as Wan publishes them.
MEAN_48 = [
    -.2289, -.0052, -.1323, -.2339, -.2799, .0174, .1838, .1557, -.1382, .0542, .2813, .0891, .1570, -.0098, .0375,
    -.1825, -.2246, -.1207, -.0698, .5109, .2665, -.2108, -.2158, .2502, -.2055, -.0322, .1109, .1567, -.0729, .0899,
    -.2799, -.1230, -.0313, -.1649, .0117, .0723, -.2839, -.2083, -.0520, .3748, .0152, .1957, .1433, -.2944, .3573,
    -.0548, -.1681, -.0667]
STD_48 = [
    .4765, 1.0364, .4514, 1.1677, .5313, .4990, .4818, .5013, .8158, 1.0344, .5894, 1.0901, .6885, .6165, .8454, .4978,
    .5759, .3523, .7135, .6804, .5833, 1.4146, .8986, .5659, .7069, .5338, .4889, .4917, .4069, .4999, .6866, .4093,
    .5709, .6065, .6415, .4944, .5726, 1.2042, .5458, 1.6887, .3971, 1.0600, .3943, .5537, .5444, .4089, .7468, .7744]


LAYOUT_22 = dict(z_dim=48, temperal_downsample=[True, True, False], is_residual=True, patch_size=2, in_channels=12,
                 out_channels=12, scale_factor_spatial=16)
WIDE_22 = dict(base_dim=160, decoder_base_dim=256, dim_mult=[1, 2, 4, 4], num_res_blocks=2)


def wide(folder):
    wan(folder, "vae_wan21", (3, 4, 6), 51, base_dim=96, z_dim=16, dim_mult=[1, 2, 4, 4])
    wan(folder, "vae_wan22", (2, 2, 3), 52, (MEAN_48, STD_48), **LAYOUT_22, **WIDE_22)
    tiny(folder, "vae_tiny_wan21", (3, 6, 4), 53, 16, (256, 128, 64, 64), (1, 2, 2), 1)
    tiny(folder, "vae_tiny_wan22", (3, 3, 4), 54, 48, (256, 128, 64, 64), (1, 2, 2), 2)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    if sys.argv[2:] == ["wide"]:
        return wide(folder)
    size = fresh.pick(4, 2, 5), fresh.pick(3, 2, 4), 5
    wan(folder, "vae_wan21", size, 21, base_dim=8, z_dim=16, dim_mult=[1, 1, 2, 2])
    # the widths fall by 4 where the frames double, or the shortcut would be the same for both frames
    size = fresh.pick(4, 3), fresh.pick(2, 3), 3
    wan(folder, "vae_wan22", size, 22, (MEAN_48, STD_48), **LAYOUT_22, base_dim=4, decoder_base_dim=4, dim_mult=[1, 1, 4, 4])
    tiny(folder, "vae_tiny_wan21", (3, 5, 3), 31, 16, (16, 16, 8, 8), (2, 2, 2), 1)
    tiny(folder, "vae_tiny_wan22", (3, 2, 4), 32, 48, (16, 8, 8, 8), (1, 2, 2), 2)
    block(folder, "vae_block", (3, 3, 5), 41, 7, 4, 4)
    block(folder, "vae_block_refined", (4, 10, 12), 42, 5, 4, 2, (5, 16, 24, 2))


main()
