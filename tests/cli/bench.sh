#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# sora bench and sora info on a small model; decoding what was saved.
. "$SRCDIR/tests/cli/lib.sh"

mkdir m
for part in transformer text_encoder scheduler; do ln -s "$SRCDIR/tests/ref/clip/$part" m/$part; done
ln -s "$SRCDIR/tests/ref/vae_wan21" m/vae
ln -s "$SRCDIR/tests/ref/text.model" m/spiece.model

status 0 "$SORA" bench m -s 48x32 --frames 5 --runs 1 --json;  empty err
for key in cpu isa threads peak_gflops peak_after_gflops model precision size frames stages kernels peak_rss_bytes \
           load text step vae linear attention conv elementwise reorder other seconds flop share runs; do
    has out "\"$key\": "
done
has out '"size": [48, 32], "frames": 5'
status 0 "$SORA" bench m -s 48x32 --frames 5 --runs 2 --stage step -q
has out "  step "
grep -q "^  vae " out && fail "--stage step measured the decoder too"
status 1 "$SORA" bench nosuch;              says err 'sora: shape "nosuch" is not known; there are: wan2.1-1.3b, wan2.2-5b, wan2.1-14b'
status 1 "$SORA" bench test;                says err "sora: model test: has nothing to measure"
status 2 "$SORA" bench m --stage load;      says err 'sora: --stage: found "load", wanted one of text|step|vae'

status 0 "$SORA" info m -s 48x32;           has out "parameters   280.12 k"; has out "types        BF16"
has out "streams      no"

g="$SORA generate -q -m m -p hills -s 48x32 --frames 5 --steps 2"
status 0 $g -o a.y4m --save-latents z.safetensors --save-text t.safetensors; empty err
status 0 "$SORA" decode -q -m m --latents z.safetensors -o b.y4m
cmp -s a.y4m b.y4m || fail "decode gives other frames"
status 0 "$SORA" generate -q -m m --text t.safetensors -s 48x32 --frames 5 --steps 2 -o c.y4m
cmp -s a.y4m c.y4m || fail "text states from the file give other frames"
head -c 3000 z.safetensors >cut.safetensors
status 1 "$SORA" decode -q -m m --latents cut.safetensors -o b.y4m; has err "cut.safetensors"
finish
