#!/usr/bin/env python3
"""Reference run of diffusers' WanPipeline on a small model with random weights.

    clip.py OUT       writes OUT/clip/: transformer/, text_encoder/, scheduler/, model_index.json as save_pretrained() leaves
                      them, and run.safetensors; the decoder is OUT/vae_wan21, the tokenizer OUT/text.model

run.safetensors: noise, latents [C, F, H, W], text [512, D] of PROMPT, frames [frames, height, width, 3]; latents.euler: the
same noise by the Euler scheduler without guidance.
"""

import pathlib
import sys

import sentencepiece
import torch
from diffusers import (AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline,
                       WanTransformer3DModel)
from safetensors.torch import load_file, save_file
from transformers import UMT5Config, UMT5EncoderModel

PROMPT, NEGATIVE = "a red balloon over green hills", "blurry, grey"
WIDTH, HEIGHT, FRAMES, STEPS, GUIDANCE = 48, 32, 9, 4, 3.0


def randomise(model, generator):
    """Every part matters: norms, biases, tables and gates are far from what an initialiser gives."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "scale_shift_table" in name or "relative_attention_bias" in name:
            p.data = 0.3 * noise
        elif name.endswith("bias"):
            p.data = 0.1 * noise
        elif p.ndim == 1:
            p.data = 1 + 0.2 * noise
        elif "shared" in name or "embed_tokens" in name:
            p.data = noise
        else:
            p.data = noise / p[0].numel() ** 0.5
        p.data = p.data.bfloat16().float()              # what the file keeps is what was run


@torch.no_grad()
def states(encoder, tokenizer, text):
    """[1, 512, D]: the rows of the real tokens, then zeros."""
    ids = torch.tensor([tokenizer.encode(text) + [1]])
    rows = encoder(ids).last_hidden_state
    return torch.cat([rows, rows.new_zeros(1, 512 - rows.shape[1], rows.shape[2])], 1)


@torch.no_grad()
def main():
    out = pathlib.Path(sys.argv[1])
    generator = torch.Generator().manual_seed(20)
    tokenizer = sentencepiece.SentencePieceProcessor(str(out / "text.model"))
    encoder = UMT5EncoderModel(UMT5Config(vocab_size=tokenizer.vocab_size(), d_model=32, d_kv=16, d_ff=48, num_layers=2,
                                          num_heads=2, feed_forward_proj="gated-gelu", dropout_rate=0.0)).eval()
    transformer = WanTransformer3DModel(num_attention_heads=2, attention_head_dim=24, in_channels=16, out_channels=16,
                                        text_dim=32, freq_dim=32, ffn_dim=64, num_layers=2).eval()
    randomise(encoder, generator)
    randomise(transformer, generator)
    vae = AutoencoderKLWan.from_config(AutoencoderKLWan.load_config(out / "vae_wan21")).eval()
    missing = vae.load_state_dict(load_file(out / "vae_wan21/diffusion_pytorch_model.safetensors"), strict=False).missing_keys
    assert not [k for k in missing if k.startswith(("decoder.", "post_quant_conv."))], missing
    unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
                                    flow_shift=3.0)
    pipe = WanPipeline(tokenizer=None, text_encoder=None, vae=vae, scheduler=unipc, transformer=transformer)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 16, (FRAMES - 1) // 4 + 1, HEIGHT // 8, WIDTH // 8, generator=generator)
    text, negative = (states(encoder, tokenizer, s) for s in (PROMPT, NEGATIVE))

    def run(guidance, output_type):
        return pipe(prompt_embeds=text, negative_prompt_embeds=negative, height=HEIGHT, width=WIDTH, num_frames=FRAMES,
                    num_inference_steps=STEPS, guidance_scale=guidance, latents=noise.clone(), output_type=output_type).frames

    latents, frames = run(GUIDANCE, "latent"), run(GUIDANCE, "pt")
    pipe.scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    euler = run(1.0, "latent")

    folder = out / "clip"
    transformer.bfloat16().save_pretrained(folder / "transformer")
    encoder.bfloat16().save_pretrained(folder / "text_encoder")
    unipc.save_pretrained(folder / "scheduler")
    save_file({"noise": noise[0], "latents": latents[0].float().contiguous(), "latents.euler": euler[0].float().contiguous(),
               "text": text[0].contiguous(), "frames": frames[0].permute(0, 2, 3, 1).contiguous()},
              folder / "run.safetensors")


main()
