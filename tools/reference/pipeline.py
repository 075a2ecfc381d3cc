#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole Wan pipeline on random weights: folder, start noise, and what diffusers.WanPipeline makes of them.

    pipeline.py OUT [--seed N] [--scheduler unipc|euler] [--guidance G] [--steps N] [--size WxH] [--frames N] [--prompt TEXT]

Writes OUT/model (by save_pretrained alone: names, files and configs are diffusers' and transformers' own) and
OUT/reference.safetensors: noise [C, F, H, W], text and negative [T, D], latents [C, F, H, W], frames [n, h, w, 3] in 0..1.
"""
import argparse
import json
import os
import pathlib
import random

import numpy as np
import sentencepiece
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

TEXT_DIM = 64


def tokenizer(folder, seed):
    """A SentencePiece unigram model with UMT5's special ids, trained on random words, as transformers reads it."""
    r = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(r.choice(letters) for _ in range(r.randint(2, 7))) for _ in range(300)]
    words += "a red blue balloon boat over green hills on the sea at night".split()
    folder.mkdir(parents=True, exist_ok=True)
    sentences = [" ".join(r.choice(words) for _ in range(8)) for _ in range(1500)]
    (folder / "corpus.txt").write_text("\n".join(sentences + [letters, "0123456789 .,;:'!?-"] * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"), model_prefix=str(folder / "spiece"), vocab_size=600, model_type="unigram",
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, byte_fallback=True, hard_vocab_limit=False, minloglevel=2)
    (folder / "corpus.txt").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}))
    return AutoTokenizer.from_pretrained(folder)


def liven(module, generator):
    """Random numbers in which every part matters: no gate, table, norm weight or bias is left at its initial value."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim == 1 or "gamma" in name:
                is_norm = "norm" in name or "gamma" in name
                p.copy_(1 + 0.2 * noise if is_norm and not name.endswith("bias") else 0.1 * noise)
            elif "scale_shift_table" in name:
                p.copy_(0.3 * noise)
            elif "relative_attention_bias" in name:
                p.copy_(0.5 * noise)
            elif "shared" in name or "embed_tokens" in name:
                p.copy_(noise)
            else:
                p.copy_(noise / np.prod(p.shape[1:]) ** 0.5)
    return module.eval()


def build(out, seed, scheduler):
    g = torch.Generator().manual_seed(seed)
    tok = tokenizer(out / "tokenizer", seed)
    text = liven(UMT5EncoderModel(UMT5Config(
        vocab_size=len(tok), d_model=TEXT_DIM, d_kv=16, num_heads=4, num_layers=3, d_ff=96,
        feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1)), g)
    dit = liven(WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=3, attention_head_dim=32, in_channels=16, out_channels=16,
        text_dim=TEXT_DIM, freq_dim=256, ffn_dim=160, num_layers=3, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", eps=1e-6), g)
    vae = liven(AutoencoderKLWan(base_dim=12, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2), g)
    if scheduler == "unipc":
        sched = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
                                        flow_shift=3.0)
    else:
        sched = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return WanPipeline(tokenizer=tok, text_encoder=text, transformer=dit, vae=vae, scheduler=sched)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--scheduler", choices=("unipc", "euler"), default="unipc")
    a.add_argument("--guidance", type=float, default=4.0)
    a.add_argument("--steps", type=int, default=6)
    a.add_argument("--size", default="64x48")
    a.add_argument("--frames", type=int, default=9)
    a.add_argument("--prompt", default="a red  balloon &amp; a “blue” boat over green hills")
    o = a.parse_args()
    torch.set_num_threads(1)
    width, height = map(int, o.size.split("x"))
    work = o.out / "parts"
    pipe = build(work, o.seed, o.scheduler)
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(o.out / "model")
    noise = torch.randn(1, 16, (o.frames - 1) // 4 + 1, height // 8, width // 8,
                        generator=torch.Generator().manual_seed(o.seed + 1))
    run = dict(prompt=o.prompt, negative_prompt="dull", height=height, width=width, num_frames=o.frames,
               num_inference_steps=o.steps, guidance_scale=o.guidance)
    with torch.no_grad():
        text, negative = pipe.encode_prompt(o.prompt, "dull", do_classifier_free_guidance=True, max_sequence_length=512)
        latents = pipe(**run, latents=noise.clone(), output_type="latent").frames
        frames = pipe(**run, latents=noise.clone(), output_type="np").frames
    t = {"noise": noise[0], "text": text[0], "negative": negative[0], "latents": latents[0],
         "frames": torch.from_numpy(np.ascontiguousarray(frames[0]))}
    save_file({k: v.float().contiguous() for k, v in t.items()}, o.out / "reference.safetensors",
              metadata={"prompt": o.prompt, "seed": str(o.seed), "steps": str(o.steps), "guidance": str(o.guidance)})
    for f in sorted(work.rglob("*")):
        if f.is_file():
            os.unlink(f)
    print("latents std %.3f, frames %s mean %.3f std %.3f" % (latents.std(), frames[0].shape, frames.mean(), frames.std()))


if __name__ == "__main__":
    main()
