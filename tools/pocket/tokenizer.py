# SPDX-License-Identifier: LGPL-2.1-or-later
"""A SentencePiece tokenizer in which every word of the captions is one piece; other words fall apart into bytes.

Piece 0 pads, 1 ends a prompt, 2 is unknown. Case does not matter. The text is cut at MAX_TEXT pieces, end included.

python tokenizer.py         trains it and shows how a few prompts fall into pieces
"""

import re

import numpy as np
import sentencepiece
import torch

import paths
from captions import caption
from world import draw_attributes

MAX_TEXT = 32
PAD, END, UNKNOWN = 0, 1, 2


def train():
    rng = np.random.default_rng(1)
    captions = [caption(draw_attributes(rng), rng) for _ in range(30_000)]
    words = sorted({w for text in captions for w in re.findall(r"[^\s,.]+", text)})
    letters = ["".join(chr(97 + int(c)) for c in rng.integers(0, 26, int(rng.integers(2, 7)))) for _ in range(9000)]
    corpus = paths.WORK / "captions.txt"
    corpus.write_text("\n".join(captions + [" ".join(letters[i:i + 5]) for i in range(0, len(letters), 5)]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(paths.TOKENIZER.with_suffix("")), model_type="unigram",
        vocab_size=len(words) + 360, hard_vocab_limit=False, byte_fallback=True, minloglevel=2,
        user_defined_symbols=["\u2581" + w for w in words], normalization_rule_name="nmt_nfkc_cf",
        pad_id=PAD, eos_id=END, unk_id=UNKNOWN, bos_id=-1)


class Tokenizer:
    def __init__(self, file=paths.TOKENIZER):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
        self.size = self.pieces.vocab_size()

    def __call__(self, prompts):
        """-> ids [prompts, MAX_TEXT], padded with PAD; each prompt ends in END."""
        ids = torch.full((len(prompts), MAX_TEXT), PAD)
        for row, text in zip(ids, prompts):
            pieces = self.pieces.encode(text)[:MAX_TEXT - 1] + [END]
            row[:len(pieces)] = torch.tensor(pieces)
        return ids


if __name__ == "__main__":
    paths.WORK.mkdir(parents=True, exist_ok=True)
    train()
    tokenizer, rng = Tokenizer(), np.random.default_rng(2)
    lengths = (tokenizer([caption(draw_attributes(rng), rng) for _ in range(3000)]) != PAD).sum(1)
    print(tokenizer.size, "pieces; caption length mean", lengths.float().mean().item(), "max", lengths.max().item())
    for text in ("A red balloon over green hills", "calm sea at sunset, slow clouds", "zeppelin, hills."):
        print(tokenizer.pieces.encode(text, out_type=str))
