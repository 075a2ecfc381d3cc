#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole training on one GPU in one slice of some nine minutes, data rendered beside it by the other cores.
#   tools/pocket/train_gpu.sh [SECONDS]         after tokenizer.py and codec.py; default: 540
# Ends with STAGE.safetensors in the work folder, whatever happens to a stage: each has its hard limit.
set -u
here=$(dirname "$0") total=${1:-540} began=$(date +%s)
work=${POCKET_WORK:-$here/../../.cache/pocket}
python=${PYTHON:-python3}
export POCKET_WORK="$work" OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
passed() { echo $(($(date +%s) - began)); }
share() { echo $((total * $1 / 100)); }

rm -f "$work"/images-*.npz "$work"/clips-*.npz "$work"/streams-*.npz "$work"/*.pt
workers=$(($(getconf _NPROCESSORS_ONLN) - 2))
for k in $(seq $workers); do            # two render clips from the start: the second stage must not wait
    kind=images
    [ "$k" -gt 2 ] || kind=clips
    nice -n 15 sh -c "'$python' '$here/make_data.py' $kind $k $(share 10); '$python' '$here/make_data.py' streams $k $(share 14)
                      '$python' '$here/make_data.py' clips $((k + 100)) $(share 28)" >"$work/data-$k.log" 2>&1 &
done
while [ "$(ls "$work"/images-*-0.npz "$work"/clips-*-0.npz 2>/dev/null | wc -l)" -lt "$workers" ]; do sleep 0.5; done

minutes() { echo "$(share $1) / 60" | bc -l; }
timeout -s KILL "$(share 96)" "$python" "$here/train.py" images windows rollouts \
    --minutes "$(minutes 32)" "$(minutes 41)" "$(minutes 19)" --say 100 >"$work/train.log" 2>&1
tail -n 3 "$work/train.log"
