#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""References for core/text, written into tests/ref:

    tools/reference/text.py model     text.model        a small SentencePiece model with UMT5's settings
                                      text-plain.json   the same pieces as a tokenizer.json, no normaliser
    tools/reference/text.py prompts   prompts.json      [prompt, cleaned, ids by SentencePiece, ids by tokenizer.json or null]
    tools/reference/text.py t5        t5/ and umt5/ (config.json, model.safetensors), umt5.pth under Wan's own names, and
                                      t5-states.safetensors, umt5-states.safetensors: ids [T] and states [T, C]
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import fresh

REF = os.environ.get("REFERENCE_OUT") or os.path.join(os.path.dirname(__file__), "..", "..", "tests", "ref")


def ref(name):
    return os.path.join(REF, name)


def make_model():
    import io
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    from prompts import SENTENCES
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    text = []
    for i, s in enumerate(SENTENCES):
        text += [s] * (3 if i < 8 else 1) + s.split(" ")
    # mT5 and UMT5: unigram, nmt_nfkc, byte fallback, pad 0, eos 1; UMT5 has bos 2 and unk 3
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=out, vocab_size=1600, model_type="unigram",
                                   normalization_rule_name="nmt_nfkc", byte_fallback=True, character_coverage=0.98,
                                   pad_id=0, eos_id=1, bos_id=2, unk_id=3, hard_vocab_limit=False, num_threads=1, minloglevel=2)
    m = pb.ModelProto.FromString(out.getvalue())
    with open(ref("text.model"), "wb") as f:
        f.write(out.getvalue())
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in m.pieces], unk_id=3, byte_fallback=False))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<s>", "<unk>"])
    with open(ref("text-plain.json"), "w") as f:
        f.write(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")))


def fast_tokenizer(path):
    """What transformers' T5TokenizerFast made of a spiece.model: the normaliser behind a space squeezer, no byte fallback."""
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    m = pb.ModelProto.FromString(open(path, "rb").read())
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in m.pieces], unk_id=3, byte_fallback=m.trainer_spec.byte_fallback))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(m.normalizer_spec.precompiled_charsmap)])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return t


def make_prompts():
    import ftfy
    import sentencepiece as spm
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean
    from ftfy import TextFixerConfig
    from prompts import prompts
    from tokenizers import Tokenizer

    sp = spm.SentencePieceProcessor(model_file=ref("text.model"))
    plain = Tokenizer.from_file(ref("text-plain.json"))
    fast = fast_tokenizer(ref("text.model"))
    rows, mojibake, other = [], 0, 0
    for p in prompts():
        # The guess at wrongly decoded text is the one repair that libsora leaves out.
        if ftfy.fix_text(p) != ftfy.fix_text(p, TextFixerConfig(fix_encoding=False)):
            mojibake += 1
            continue
        c = prompt_clean(p)
        ids = sp.encode(c) + [1]
        f = fast.encode(c).ids
        if f != ids:
            other += 1
            if "-v" in sys.argv: print(ascii(c), ids, f)
        rows.append([p, c, ids, plain.encode(c).ids])
    with open(ref("prompts.json"), "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in rows) + "\n]\n")
    print(len(rows), "prompts;", mojibake, "left out as mojibake;", other, "that the fast tokenizer cuts otherwise")


WAN_NAMES = [
    ("shared.weight", "token_embedding.weight"), ("encoder.final_layer_norm.weight", "norm.weight"),
    ("encoder.block.", "blocks."), ("layer.0.layer_norm.", "norm1."), ("layer.1.layer_norm.", "norm2."),
    ("layer.0.SelfAttention.relative_attention_bias.", "pos_embedding.embedding."), ("layer.0.SelfAttention.", "attn."),
    ("layer.1.DenseReluDense.wi_0.", "ffn.gate.0."), ("layer.1.DenseReluDense.wi_1.", "ffn.fc1."),
    ("layer.1.DenseReluDense.wo.", "ffn.fc2."),
]


def make_t5():
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    size = dict(vocab_size=64, d_model=32, num_heads=3, d_kv=16, d_ff=56, feed_forward_proj="gated-gelu", dropout_rate=0.0)
    kinds = {"t5": (T5EncoderModel(T5Config(num_layers=3, **size)), 21), "umt5": (UMT5EncoderModel(UMT5Config(num_layers=2, **size)), 150)}
    for name, (model, tokens) in kinds.items():
        g = torch.Generator().manual_seed(fresh.seed(len(name)))
        model = model.eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                x = torch.randn(p.shape, generator=g)
                if "layer_norm" in key: p.copy_(1 + 0.2 * x)
                elif "relative_attention_bias" in key or key.endswith(("shared.weight", "embed_tokens.weight")): p.copy_(x)
                else: p.copy_(x * p.shape[1] ** -0.5)
                p.copy_(p.bfloat16().float())                   # so that the files are small and exact
            ids = torch.randint(4, 64, (1, tokens), generator=g)
            states = model(input_ids=ids).last_hidden_state[0]
        model.to(torch.bfloat16).save_pretrained(ref(name))
        save_file({"ids": ids[0].float(), "states": states.contiguous()}, ref(name + "-states.safetensors"))
    wan = {}
    for key, v in load_file(ref("umt5/model.safetensors")).items():
        for ours, theirs in WAN_NAMES: key = key.replace(ours, theirs)
        wan[key] = v.clone()
    torch.save(wan, ref("umt5.pth"))


if __name__ == "__main__":
    {"model": make_model, "prompts": make_prompts, "t5": make_t5}[sys.argv[1]]()
