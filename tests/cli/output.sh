#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is written: Y4M bytes, PNG files, files by ffmpeg, prompts from files and schedules.
. "$SRCDIR/tests/cli/lib.sh"
g="$SORA generate -q -m test"

status 0 $g -p a --frames 3 -s 33x17 -r 24000/1001 -o a.y4m;   empty err; empty out
head -1 a.y4m >line
says line "YUV4MPEG2 W33 H17 F24000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED"
want=$(($(wc -c <line) + 3 * (6 + 33 * 17 + 2 * 17 * 9)))
[ "$(wc -c <a.y4m)" = $want ] || fail "a.y4m has $(wc -c <a.y4m) bytes, wanted $want"

status 0 $g -p a --frames 3 -s 33x17 -r 24000/1001 -o -
cmp -s out a.y4m || fail "-o - and a file differ"
for o in --prompt=a -pa "--threads 1 -p a" "--seed 0 -p a"; do
    status 0 $g $o --frames 3 -s 33x17 -r 24000/1001 -o -
    cmp -s out a.y4m || fail "$o gives other bytes"
done
printf 'a\n' >prompt
status 0 $g --prompt-file prompt --frames 3 -s 33x17 -r 24000/1001 -o -
cmp -s out a.y4m || fail "--prompt-file gives other bytes"
"$SORA" generate -q -m test --prompt-file - --frames 3 -s 33x17 -r 24000/1001 -o - <prompt >out
cmp -s out a.y4m || fail "--prompt-file - gives other bytes"
status 0 $g -p a --seed 1 --frames 3 -s 33x17 -r 24000/1001 -o -
cmp -s out a.y4m && fail "another seed gives the same bytes"

status 0 $g -p a --format yuv444p10 --frames 2 -s 20x16 -o b.y4m
head -1 b.y4m >line
has line " C444p10 "
[ "$(wc -c <b.y4m)" = $(($(wc -c <line) + 2 * (6 + 6 * 20 * 16))) ] || fail "b.y4m has $(wc -c <b.y4m) bytes"

# the seed that was drawn makes the same again
status 0 "$SORA" generate -m test -p a --seed -1 --frames 2 -s 32x16 -o c.y4m
seed=$(sed -n 's/^sora: seed: //p' err)
status 0 $g -p a --seed "$seed" --frames 2 -s 32x16 -o d.y4m
cmp -s c.y4m d.y4m || fail "the drawn seed $seed does not repeat"

# a schedule: 8 frames of a, then b
status 0 $g -p "@0 a @0.5 b" --frames 16 -s 32x16 -o e.y4m
status 0 $g -p a --frames 16 -s 32x16 -o f.y4m
status 0 $g -p b --frames 16 -s 32x16 -o h.y4m
n=$(($(head -1 e.y4m | wc -c) + 8 * (6 + 32 * 16 * 3 / 2)))
[ "$(head -c $n e.y4m | cksum)" = "$(head -c $n f.y4m | cksum)" ] || fail "schedule: the first half is not a's"
[ "$(tail -c +$((n + 1)) e.y4m | cksum)" = "$(tail -c +$((n + 1)) h.y4m | cksum)" ] || fail "schedule: the second half is not b's"

status 0 $g -p a --frames 3 -s 20x16 -o folder/
[ "$(ls folder | tr '\n' ' ')" = "frame-000000.png frame-000001.png frame-000002.png " ] || fail "folder has $(ls folder)"
[ "$(head -c 8 folder/frame-000000.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "no PNG"
status 0 $g -p a --frames 1 -o new;                            [ -f new/frame-000000.png ] || fail "no folder new"

status 0 $g -p a --frames 3 -s 20x16 --save-frames frames.safetensors
[ "$(wc -c <frames.safetensors)" = $((8 + 192 + 3 * 20 * 16 * 3 * 4)) ] || fail "frames.safetensors has another size"
has frames.safetensors '"shape":[3,16,20,3],"data_offsets":[0,11520]'

# progress
status 0 "$SORA" generate -m test -p a --frames 9 -o a.y4m --progress=json
[ "$(grep -c '^{"stage": "step", "step": [1-4], "steps": 4, ' err)" = 8 ] || fail "progress: $(cat err)"
tail -1 err | grep -q '"stage": "done".*"fraction": 1.0000' || fail "progress ends with $(tail -1 err)"
status 0 "$SORA" generate -m test -p a --frames 9 -o a.y4m;    has err "9 frames in"; has err "100% done"

# without ffmpeg in PATH, an mp4 cannot be
mkdir bin
PATH=$T/bin "$SORA" generate -q -m test -p a -o a.mp4 2>err && fail "mp4 without ffmpeg"
has err "PATH has none"
if command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null; then
    status 0 $g -p a --frames 5 -o "it's a:b.mkv" -s 64x48;    empty err
    ffprobe -v error -count_frames -show_entries stream=nb_read_frames,color_space,color_range -of csv=p=0 "file:it's a:b.mkv" >out
    says out "tv,bt709,5"
    status 1 $g -p a --frames 5 -o a.nosuchformat;             has err "ffmpeg could not write it"
    status 1 $g -p a -o none/a.mp4;                            says err "sora: none/a.mp4: cannot write: No such file or directory"
else
    echo "no ffmpeg: its part is skipped"
fi
finish
