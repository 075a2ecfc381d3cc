#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Damaged model folders and outputs that cannot be written: exit status 1 or 2 and one line that names the thing, within
# 10 seconds and 2 GB.
. "$SRCDIR/tests/cli/lib.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }

seconds=10
case ${SANITIZE-} in
'') ulimit -v 2097152 ;;            # sanitizers reserve terabytes and are slow
*) seconds=60 ;;
esac
g="$SORA generate -q -p hills -s 16x16 --frames 1 --steps 2 --threads 1"

# fresh: the small Wan in m/, made of copies
fresh() {
    rm -rf m
    mkdir m
    for part in transformer text_encoder scheduler; do cp -r "$SRCDIR/tests/ref/clip/$part" m/; done
    cp -r "$SRCDIR/tests/ref/vae_wan21" m/vae
    cp "$SRCDIR/tests/ref/text.model" m/spiece.model
    chmod -R u+w m
}

# edit FILE CODE: CODE changes c, the content of a JSON file; or h, the header of a safetensors file and d, its data.  k: all
# names of tensors, in order of place
edit() {
    python3 - "$1" "$2" <<'PY' || fail "edit $1 $2"
import json, sys
path, code = sys.argv[1:]
raw = open(path, "rb").read()
if path.endswith(".json"):
    v = {"c": json.loads(raw)}
    exec(code, v)
    out = json.dumps(v["c"]).encode()
else:
    n = int.from_bytes(raw[:8], "little")
    h = json.loads(raw[8:8 + n])
    k = sorted((x for x in h if x != "__metadata__"), key=lambda x: h[x]["data_offsets"])
    v = {"h": h, "d": bytearray(raw[8 + n:]), "k": k}
    exec(code, v)
    text = json.dumps(v["h"]).encode()
    out = len(text).to_bytes(8, "little") + text + v["d"]
open(path, "wb").write(out)
PY
}

# refused COMMAND...: as the head of this file says; each line of $names must be in the message
refused() {
    timeout $seconds "$@" >out 2>err
    got=$?
    case $got in
    1 | 2) ;;
    *) fail "$case: status $got: $*"; head -c 2000 err ;;
    esac
    [ "$(wc -l <err)" = 1 ] || { fail "$case: not one line of errors"; head -c 2000 err; }
    grep -q "^sora: " err || fail "$case: no message"
    has err "$names"
    [ ! -e x.y4m ] || { fail "$case: an output is left behind"; rm -f x.y4m; }
}

# damaged CASE NAMES: m/ is refused, and then made anew
damaged() {
    case=$1 names=$2
    refused $g -m m -o x.y4m
    fresh
}

fresh
status 0 $g -m m -o x.y4m;  empty err
rm -f x.y4m

# ---- Weights, in each part ----
for f in transformer/diffusion_pytorch_model vae/diffusion_pytorch_model text_encoder/model; do
    w=m/$f.safetensors
    size=$(wc -c <$w)
    for n in 0 7 9 100 $((size / 2)) $((size - 1)); do
        head -c $n $w >cut
        cp cut $w
        damaged "cut at $n" $f
    done
    printf '{{{{{{{{{{{{{{{{{{{{' | dd of=$w bs=1 seek=40 conv=notrunc 2>/dev/null;      damaged "garbled header" $f
    printf '\0\0\0\0\0\0\0\020' | dd of=$w bs=1 conv=notrunc 2>/dev/null;             damaged "header of 2^60 bytes" $f
    printf '\377\377\377\377\377\377\377\377' | dd of=$w bs=1 conv=notrunc 2>/dev/null;  damaged "header of 2^64 - 1 bytes" $f
    printf '\377\377\377\005' | dd of=$w bs=1 conv=notrunc 2>/dev/null;               damaged "header of 96 MiB" $f
    head -c 5000 /dev/urandom >$w;                                                    damaged "random bytes" $f
    edit $w 'h[k[1]]["data_offsets"] = [x - 2 for x in h[k[1]]["data_offsets"]]';     damaged "overlap" overlap
    edit $w 'h[k[1]]["data_offsets"][0] = -4';                                        damaged "negative offset" "-4"
    edit $w 'h[k[1]]["data_offsets"] = [2**63 - 8, 2**63 - 4]';                       damaged "offset of 2^63" $f
    edit $w 'h[k[1]]["shape"] = [2**40, 2**40]';                                      damaged "shape of 2^80" $f
    edit $w 'h[k[1]]["shape"] = [1] * 1000';                                          damaged "1000 axes" axes
    edit $w 'x = h[k[1]]; x["dtype"] = {"F32": "I32", "BF16": "I16", "F16": "I16"}[x["dtype"]]'
    damaged "wrong type" "wanted: F32, F16 or BF16"
    edit $w 'h[k[1]]["dtype"] = "Q7"';                                                damaged "unknown type" Q7
    edit $w 'x = h[k[1]]; n = x["data_offsets"][1]; x["shape"].append(1)';            damaged "one more axis" "has the shape"
    edit $w 'h["strange"] = h.pop(k[1])';                                             damaged "missing tensor" "no tensor"
    edit $w 'h[k[1]] = [[[[]]]]';                                                     damaged "entry is a list" $f
    edit $w 'h["__metadata__"] = {"a": 1}';                                           damaged "metadata of numbers" $f
    edit $w 'd[:] = b"\xff" * len(d)';                                                damaged "NaN" NaN
    rm $w;                                                                            damaged "no weights" "no weights"
    rm $w && mkfifo $w;                                                               damaged "a FIFO" "not a regular file"
    rm $w && mkdir $w;                                                                damaged "a folder" "not a regular file"
    rm $w && ln -s "$PWD/$w" $w;                                                      damaged "a link to itself" $f
done

# ---- Shards ----
t=m/transformer
shards() {          # JSON of the index
    mv $t/diffusion_pytorch_model.safetensors $t/a.safetensors
    printf '%s' "$1" >$t/diffusion_pytorch_model.safetensors.index.json
}
q=blocks.0.attn1.to_q.weight
shards "{\"weight_map\": {\"$q\": \"../vae/diffusion_pytorch_model.safetensors\"}}";  damaged "shard in ../" "not a plain file name"
shards "{\"weight_map\": {\"$q\": \"/etc/passwd\"}}";      damaged "shard by path" "not a plain file name"
shards "{\"weight_map\": {\"$q\": \"..\"}}";               damaged "shard .." "not a plain file name"
shards "{\"weight_map\": {\"$q\": 5}}";                    damaged "shard 5" "not a plain file name"
shards "{\"weight_map\": {\"$q\": \"b.safetensors\"}}";    damaged "absent shard" "b.safetensors: cannot open"
shards "{\"weight_map\": {\"other\": \"a.safetensors\"}}"; damaged "tensor not in its shard" '"other" is not in'
shards '{"weight_map": {}}';                               damaged "empty index" "no weight_map"
shards '[]';                                               damaged "index is a list" "no weight_map"
shards '';                                                 damaged "index is empty" "index.json"

# ---- Configs ----
for f in transformer/config.json vae/config.json text_encoder/config.json; do
    : >m/$f;                                               damaged "empty" $f
    echo null >m/$f;                                       damaged "null" $f
    echo '[1, 2]' >m/$f;                                   damaged "a list" $f
    echo '{"_class_name": ' >m/$f;                         damaged "cut" $f
    head -c 20000000 /dev/zero | tr '\0' ' ' >m/$f;        damaged "20 MB" $f
    head -c 1000000 /dev/zero | tr '\0' '[' >m/$f;         damaged "nested lists" $f
    python3 -c 'print("{\"a\":" * 200000)' >m/$f;          damaged "nested objects" $f
    head -c 1000 /dev/zero >m/$f;                          damaged "NUL" $f
    rm m/$f && mkfifo m/$f;                                damaged "a FIFO" $f
done
value() {           # FILE KEY VALUE [NAMES]: a value out of its range is named; one at odds with the weights, what it is at odds with
    edit m/$1 "c['$2'] = $3"
    damaged "$2 is $3" "${4-$1}"
    grep -q "$2\|line 1" err || [ -n "${4-}" ] || { fail "$2 = $3 is not named"; cat err; }
}
c=transformer/config.json
for v in 0 -1 10**9 2**62 2.5 '"4"' '[]' '1e400'; do
    value $c num_attention_heads "$v"
    value $c num_layers "$v"
done
value $c num_layers 3 blocks.2.
value $c num_attention_heads 3 "wanted: [72, 16"
value $c attention_head_dim 25
value $c in_channels 17 "not supported yet"
value $c out_channels 8 "of different models"
value $c ffn_dim 65 "wanted: [65, 48]"
value $c text_dim 33 "wanted: [48, 33]"
value $c freq_dim 34 "wanted: [48, 34]"
value $c patch_size '[1, 2]'
value $c patch_size '[2, 2, 2]'
value $c patch_size '[1, 0, 2]'
value $c patch_size '[1, 4, 4]' patch_embedding
value $c eps -1
value $c qk_norm '"none"'
value $c _class_name '"Nothing"' "m: no transformer"
value text_encoder/config.json num_layers 10**9
value text_encoder/config.json num_heads 0
value text_encoder/config.json d_model 10**6
value text_encoder/config.json vocab_size 5 "wanted: [5, 32]"
value vae/config.json z_dim 10**9
value vae/config.json base_dim 0
value vae/config.json latents_mean '[1]'

# ---- Parts ----
rm -r m/vae;                                               damaged "no decoder" "no decoder"
rm -r m/text_encoder;                                      damaged "no text encoder" "no text encoder"
rm m/spiece.model;                                         damaged "no tokenizer" "no tokenizer"
rm -r m/transformer;                                       damaged "no transformer" "m: no transformer"
rm -r m/transformer && mkdir m/transformer;                damaged "an empty transformer" "m: no transformer"
head -c 100000 m/spiece.model >cut && mv cut m/spiece.model;  damaged "cut tokenizer" m/spiece.model
: >m/spiece.model;                                         damaged "empty tokenizer" m/spiece.model
rm m/spiece.model && mkfifo m/spiece.model;                damaged "FIFO for a tokenizer" m/spiece.model
echo '{}' >m/tokenizer.json && rm m/spiece.model;          damaged "tokenizer.json" m/tokenizer.json
rm -r m/vae && cp -r "$SRCDIR/tests/ref/vae_wan22" m/vae;  damaged "decoder of another model" "of different models"
echo '{"_class_name": "WanPipeline", "boundary_ratio": 0.9}' >m/model_index.json;  damaged "two transformers" boundary_ratio
echo '{' >m/model_index.json;                              damaged "cut index" model_index.json
echo '{"num_train_timesteps": -5}' >m/scheduler/scheduler_config.json;  damaged "scheduler" scheduler_config.json

# ---- sora.json ----
about() { printf '%s' "$1" >m/sora.json; damaged "sora.json $1" "$2"; }
about '' "m/sora.json"
about '{"preset": "self-forcing"}' "family is missing"
about '{"family": 5}' family
about '{"family": "pocket"}' position_waves
about '{"family": "other"}' 'the transformer'\''s is "wan"'
about '{"family": "wan", "preset": "nosuch"}' nosuch
about '{"family": "wan", "width": 0}' width
about '{"family": "wan", "frames": -1}' frames
about '{"family": "wan", "chunk_latents": 1e9}' chunk_latents
about '{"family": "wan", "prompt_change": "jump"}' prompt_change
about '{"family": "wan", "sampler": {"windw": 3}}' sampler.windw
about '{"family": "wan", "lora": "nosuch.pt"}' m/nosuch.pt
about '{"family": "wan", "lora": "spiece.model"}' m/spiece.model
about '{"family": "wan", "lora_next": "l.pt"}' "lora_next is there, but the model makes clips"
about '{"family": "wan", "preset": "self-forcing", "lora_next": "l.pt", "sampler": {"cache": "last-step"}}' "lora_next is there, but the last step"
about '{"family": "wan", "chunk_latents": 1}' "sampler.window is missing"
about '{"family": "wan", "chunk_latents": 1, "sampler": {"window": 0}}' "sampler.window and sampler.sink are 0"
about '{"family": "wan", "chunk_latents": 1, "chunk_frames": 5, "sampler": {"window": 3}}' chunk_frames
about '{"family": "wan", "chunk_latents": 64, "prompt_change": "re-cache", "sampler": {"window": 1000}}' "at most 960"
about '{"family": "wan", "chunk_latents": 1, "sampler": {}, "spread": [1], "spread_next": [1]}' spread
about '{"family": "wan", "chunk_latents": 1, "sampler": {"next_steps": 0}}' next_steps
about '{"family": "wan", "chunk_latents": 1, "sampler": {}, "spread": [1, 2], "spread_next": [1]}' "spread has 2 numbers, spread_next 1"
about '{"family": "wan", "chunk_latents": 1, "sampler": {"window": 3, "turn_guidance": 2}}' turn_guidance
about '{"family": "wan", "latent": [16, 5, 5]}' latent
about '{"family": "wan", "latent": 16}' latent

# the model that comes with the library, with one value of its sora.json changed
p=$SRCDIR/models/pocket
if [ -e "$p/sora.json" ]; then
    pocket() {      # CODE NAMES [FILE that is there as well]
        rm -rf m && mkdir m
        for part in "$p"/* ${3+"$3"}; do ln -sf "$part" m/; done
        rm m/sora.json && cat "$p/sora.json" >m/sora.json
        edit m/sora.json "$1"
        case=$1 names=$2
        refused "$SORA" generate -q -p hills -m m --frames 1 -o x.y4m
    }
    pocket 'del c["family"]' "family is missing"
    pocket 'c["family"] = "wan"' "not supported yet"
    pocket 'del c["position_waves"]' position_waves
    pocket 'c["position_waves"].append(9)' waves
    pocket 'del c["lora_next"]' "sampler.retouch_time is there, lora_next is not; wanted: both"
    pocket 'del c["lora_next"]; c["lora"] = "more.safetensors"; del c["sampler"]["retouch_time"]' m/more.safetensors
    pocket 'c["lora_next"] = "more.safetensors"' m/more.safetensors
    pocket 'c["lora"] = "more.safetensors"' m/more.safetensors
    pocket 'c["lora_next"] = "README.md"' m/README.md
    pocket 'c["motion"] = "more.safetensors"' m/more.safetensors
    pocket 'c["motion"] = "README.md"' m/README.md
    pocket 'c["motion"] = "motion.safetensors"' '"filter.weight" has 12 rows; wanted: 32' "$SRCDIR/tests/ref/wan-pocket/motion.safetensors"
    pocket 'c["spread"].pop(); c["spread_next"].pop(); del c["still"]; del c["still_bias"]' "spread has 31 numbers"
    pocket 'c["still"].pop()' "still has 1023 numbers"
    pocket 'c["still"][40] = 1e9' "number 40 of still is 1e+09"
    pocket 'c["spread"] = [1.0] * 1000' spread
    pocket 'c["spread"][3] = 0' "spread of channel 3"
    pocket 'del c["spread"]; del c["spread_next"]; del c["still"]; del c["still_bias"]' spread
    pocket 'del c["sampler"]' sampler
    pocket 'del c["chunk_latents"]' chunk_latents
    pocket 'c["chunk_frames"] = 5' chunk_frames
    pocket 'c["prompt_change"] = "re-cache"' prompt_change
    pocket 'c["sampler"]["turn_every"] = -1' turn_every
    pocket 'c["sampler"].update(turn_guidance=2, cache="last-step"); del c["sampler"]["guidance_interval"]' turn_guidance
    pocket 'c["latent"] = [32, 18, 33]' latent
    pocket 'c["width"] = 528' latent
    pocket 'c["text_tokens"] = 10**9' text_tokens
    fresh
fi

# ---- Outputs and options ----
case=outputs
names="none/x.y4m: cannot write";                          refused $g -m m -o none/x.y4m
names="m/spiece.model/x.y4m: cannot write";                refused $g -m m -o m/spiece.model/x.y4m
if [ -w /dev/full ]; then
    names="/dev/full: cannot write";                       refused $g -m m -o /dev/full
    names="/dev/full";                                     refused $g -m m --save-text /dev/full
    names="/dev/full";                                     refused $g -m m --save-latents /dev/full
    names="/dev/full";                                     refused $g -m m --save-frames /dev/full
fi
case=options
for o in --frames=99999999999999999999 --frames=-2 --frames=x --seed=1e3 --seed=9223372036854775808 --threads=1000000 --threads=-1 \
         --guidance=nan --guidance=-1 --guidance=1e9 --shift=inf --steps=1e3 --rate=0/0 --rate=1/-1 --size=16x99999999999 \
         --size=0x0 --size=x --sampler=none --precision=f64; do
    names=${o%%=*};                                        refused $g -m m -o x.y4m "$o"
done
names="frames";                                            refused $g -m m -o x.y4m --frames 100000
# the sanitizers' own address space needs more than any limit on memory leaves
[ -n "${SANITIZE-}" ] || { names="memory";                 refused $g -m m -o x.y4m -s 16384x16384 --frames 81; }
names="vae";                                               refused $g -m m -o x.y4m --vae "$(printf 'vae\033[31m\n')"
names="prompt";                                            refused $g -m m -o x.y4m -p "$(head -c 70000 /dev/zero | tr '\0' a)"
names="m/spiece.model";                                    refused $g -m m -o x.y4m --noise m/spiece.model
names="m/spiece.model";                                    refused $g -m m/spiece.model -o x.y4m
names="/dev/zero";                                         refused $g -m /dev/zero -o x.y4m
names="cannot open";                                       refused $g -m "$(head -c 5000 /dev/zero | tr '\0' /)x" -o x.y4m

# a folder that may not be read; the superuser may read all, so it becomes somebody else
drop=
[ "$(id -u)" != 0 ] || drop="setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod 755 . m
if $drop "$SORA" --version >/dev/null 2>&1 && $drop test -r m/transformer/config.json; then
    for f in transformer transformer/config.json transformer/diffusion_pytorch_model.safetensors vae text_encoder spiece.model; do
        chmod 0 m/$f
        case="unreadable $f" names=m;                      refused $drop $g -m m -o -
        has err "ermission"
        chmod 755 m/$f
    done
    case="unwritable folder" names="cannot write: Permission denied"
    mkdir closed && chmod 555 closed;                      refused $drop $g -m m -o closed/x.y4m
else
    echo "who may not read a file is not tested here"
fi
finish
