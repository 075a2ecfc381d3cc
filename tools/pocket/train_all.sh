#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# On CPUs: images until one time of the day, then clips are drawn, windows until a second, rollouts until a third, then the
# export, its check and two contact sheets.
#   tools/pocket/train_all.sh 23:25 01:30 02:00         "-" for the first time: the images are done
# Logs and checkpoints go to the work folder; it may be stopped by the file `stop` there and started again.
set -e
here=$(dirname "$0")
work=${POCKET_WORK:-$here/../../.cache/pocket}
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1

train() { nice -n 19 "$python" "$here/train.py" "$@" >>"$work/$1.log" 2>&1; [ ! -e "$work/stop" ]; }

if [ "$1" != - ]; then
    train images --until "$1"
fi
for kind in clips streams; do
    [ ! -e "$work/$kind-0-0.npz" ] || continue
    for k in 0 1; do
        nice -n 19 "$python" "$here/make_data.py" $kind $k "${CLIP_SECONDS:-300}" >"$work/$kind-$k.log" 2>&1 &
    done
    wait
done
train windows --until "$2" --from images
train rollouts --until "$3" --from windows
"$python" "$here/export.py" rollouts
"$python" "$here/check_export.py"
"$python" "$here/sheet.py" "$work/sheet-first.png"
"$python" "$here/sheet.py" "$work/sheet-clips.png" "$here/../../models/pocket" 41
