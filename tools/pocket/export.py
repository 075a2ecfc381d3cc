# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the folder that is shipped, in Diffusers layout, weights in f16.

python export.py windows [FOLDER]       from the averaged weights at the end of a stage; where that learned low-rank additions, these
                                        beside what is shipped
python export.py images FOLDER mean     halfway between the additions that are shipped and the new ones
python export.py decoder [FOLDER]       the decoder alone
"""

import json
import pathlib
import re
import shutil
import sys
import textwrap

import torch
from diffusers import WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import UMT5Config, UMT5EncoderModel

import decoder
import low_rank
import paths
from codec import CHANNELS, COLUMNS, ROWS, Codec
from pocket import MOTION, POSITION, SHAPE, WAVES
from scene import FULL, RATE
from tokenizer import END, MAX_TEXT, PAD, UNKNOWN, Tokenizer

SAMPLER = {
    "kind": "renoise",              # two subjects in half as many pictures as with euler
    "renoise_until": 0.7,           # while the layout forms: what is drawn last, rain and shapes, it would only harm
    "shift": 3.0,
    "first_steps": 12,
    "first_guidance": 2.5,
    "guidance_interval": [0.28, 0.95],  # earlier it makes doubles, later it changes nothing and takes as long
    "guidance_parallel": 0.8,           # more burns out, with less falling snow is lost
    "turn_steps": 6,                    # more make these frames no better
    "turn_guidance": 2.5,               # without, half of the subjects of a new prompt are missing
    "next_steps": 1,              # more leave a grid of noise that grows from frame to frame
    "window": 4,                    # past latent frames whose keys and values are kept
    "context_time": 0.04,           # time told to the pass that fills the cache; its input carries no noise
    "change_noise": 0.02,           # spread_next's: what stands still stays, in place of collecting errors
    "retouch_time": 0.7,            # without, subjects that go somewhere fade; less mends less, more forgets what they were
    "retouch_change": 8.0,          # spread_next's: less takes the ground under a camera that pans for a subject
    "turn_every": 20,               # latent frames after which one is drawn as a first one: what drifted is forgotten
}
HEAD = 64
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS, TEXT_INNER = 192, 4, 2, 384


def part(weights, prefix):
    return {k[len(prefix) + 1:]: v for k, v in weights.items() if k.startswith(prefix + ".")}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    def in_lines(found):                                        # lists, in place of an entry a line
        words = " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]")
        return textwrap.fill(words, 120, subsequent_indent="    ", break_on_hyphens=False)
    path.write_text(re.sub(r"\[[^][{}]*\]", in_lines, json.dumps(value, indent=2)) + "\n")


def write_transformer(folder, weights):
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=SHAPE["heads"], attention_head_dim=HEAD,
        in_channels=2 * CHANNELS + POSITION, out_channels=CHANNELS, text_dim=TEXT_WIDTH, freq_dim=256,
        ffn_dim=SHAPE["inner"], num_layers=SHAPE["layers"], cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6)
    model.load_state_dict(part(weights, "transformer"))
    model.half().save_pretrained(folder)


def begin_with_shipped(folder):
    if folder.resolve() != paths.MODEL:
        shutil.copytree(paths.MODEL, folder, dirs_exist_ok=True)


def write_additions(folder, stage, additions, mean):
    """mean: of their factors and of those they learned on from, which the shipped folder has (Wortsman et al., "Model soups", 2022)."""
    begin_with_shipped(folder)
    file = folder / low_rank.file_of(stage)
    if not mean:
        shutil.copyfile(additions, file)
        return
    before = load_file(file)
    with safe_open(additions, "pt") as new:
        save_file({k: ((before[k].float() + new.get_tensor(k).float()) / 2).half() for k in new.keys()}, file, metadata=new.metadata())


def write_motion(folder, motion, spread):
    motion["filter.weight"] = motion["filter.weight"] / spread
    save_file({k: v.half().contiguous() for k, v in motion.items()}, folder / MOTION, metadata={"format": "pt"})


def write_text_encoder(folder, weights, vocabulary):
    config = UMT5Config(
        vocab_size=vocabulary, d_model=TEXT_WIDTH, d_kv=TEXT_WIDTH // TEXT_HEADS, d_ff=TEXT_INNER,
        num_layers=TEXT_LAYERS, num_heads=TEXT_HEADS, relative_attention_num_buckets=32,
        relative_attention_max_distance=128, dropout_rate=0.0, layer_norm_epsilon=1e-6,
        feed_forward_proj="gated-gelu", pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=PAD)
    model = UMT5EncoderModel(config)
    weights = part(weights, "text_encoder")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"encoder.embed_tokens.weight"}, (missing, unexpected)
    model.half().save_pretrained(folder)


def write_tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(paths.TOKENIZER, folder / "spiece.model")
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
        "extra_ids": 0, "additional_special_tokens": [], "model_max_length": MAX_TEXT})


def write_decoder(folder):
    """Channels of the convolution in the order (frame, RGB, y, x), as a pixel shuffle reads them; the network if any."""
    weight, bias = Codec().convolution()
    def reorder(v):
        return v.unflatten(0, (4, 16, 16, 3)).permute(0, 3, 1, 2, *range(4, v.dim() + 3)).flatten(0, 3)
    folder.mkdir(parents=True, exist_ok=True)
    tensors, network = {"conv_in.weight": reorder(weight), "conv_in.bias": reorder(bias)}, {}
    if refiner := decoder.load():
        tensors |= {f"refine.{k}": v for k, v in refiner.state_dict().items()}
        network = {f"refine_{k}": v for k, v in refiner.shape.items()}
    save_file({k: v.half().contiguous() for k, v in tensors.items()},
              folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {
        "_class_name": "SoraBlockDecoder", "latent_channels": CHANNELS, "latent_rows": ROWS, "latent_columns": COLUMNS,
        "kernel_size": 3, "padding_mode": "replicate", "frames_per_latent": 4, "first_frames_dropped": 3,
        "pixel_shuffle": 16, "channel_order": ["frame", "rgb", "y", "x"], "output_range": [-1, 1],
        "scaling_factor": 1.0} | network)
    (folder / "diffusion_pytorch_model.safetensors").chmod(0o644)


def numbers(values):
    return [round(float(v), 6) for v in values.flatten()]


def write_description(folder, weights, motion):
    still, still_bias = Codec().still()
    write_json(folder / "sora.json", {
        "format": 1, "family": "pocket", "licence": "CC0-1.0",
        "width": FULL[1], "height": FULL[0], "rate": RATE, "frames": 81,
        "chunk_latents": 1, "chunk_frames": 4, "prompt_change": "turn", "latent": [CHANNELS, ROWS, COLUMNS],
        "text_tokens": MAX_TEXT, "text_unknown": UNKNOWN,
        "inputs": [["noisy", CHANNELS], ["previous", CHANNELS], ["position", POSITION]],
        "position_channels": POSITION, "position_waves": list(WAVES),
        **{k: v for k, v in low_rank.FILES.items() if (folder / v).exists()}, **({"motion": MOTION} if motion else {}),
        "sampler": SAMPLER,
        "spread": numbers(weights["spread"]), "spread_next": numbers(weights["spread_next"]),
        "still": numbers(still.T), "still_bias": numbers(still_bias)})
    write_json(folder / "model_index.json", {
        "_class_name": "SoraPocketPipeline", "_diffusers_version": "0.35.0",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"], "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "WanTransformer3DModel"], "vae": ["sora", "SoraBlockDecoder"]})
    write_json(folder / "scheduler" / "scheduler_config.json", {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.35.0",
        "num_train_timesteps": 1000, "shift": SAMPLER["shift"]})


def main(stage, folder=paths.MODEL, mean=""):
    folder = pathlib.Path(folder)
    if stage == "decoder":
        begin_with_shipped(folder)
        write_decoder(folder / "vae")
        return
    file, additions = paths.WORK / f"{stage}.safetensors", paths.WORK / f"{stage}-{low_rank.file_of(stage)}"
    weights = load_file(file)
    if additions.exists():
        write_additions(folder, stage, additions, mean == "mean")
    else:
        for name in low_rank.FILES.values():                    # of other weights
            (folder / name).unlink(missing_ok=True)
        write_transformer(folder / "transformer", weights)
        write_text_encoder(folder / "text_encoder", weights, Tokenizer().size)
    motion = part(weights, "motion")
    if motion and stage != "images":                            # which does not change it
        write_motion(folder, motion, weights["spread"])
    write_tokenizer(folder / "tokenizer")
    write_decoder(folder / "vae")
    write_description(folder, weights, motion=bool(motion))
    for part_file in folder.rglob("*.*"):
        part_file.chmod(0o644)
    with safe_open(file, "pt") as f:
        print(f"{folder}: {stage}, {f.metadata()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
