#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images until one time of the day, windows until another, then the export, its check and two contact sheets.
#   tools/pocket/train_all.sh 23:25 00:05        "-" for the first time: the images are done
# Logs and checkpoints go to the work folder; it may be stopped by the file `stop` there and started again.
set -e
here=$(dirname "$0")
work=${POCKET_WORK:-$here/../../.cache/pocket}
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1

if [ "$1" != - ]; then
    nice -n 19 "$python" "$here/train.py" images --until "$1" >>"$work/images.log" 2>&1
    [ ! -e "$work/stop" ]
fi
if [ ! -e "$work/clips-0.npz" ]; then
    nice -n 19 "$python" "$here/make_data.py" clips 0 "${CLIP_MINUTES:-3}" >"$work/clips-0.log" 2>&1 &
    nice -n 19 "$python" "$here/make_data.py" clips 1 "${CLIP_MINUTES:-3}" >"$work/clips-1.log" 2>&1
    wait
fi
nice -n 19 "$python" "$here/train.py" windows --until "$2" --from images >>"$work/windows.log" 2>&1
"$python" "$here/export.py" windows
"$python" "$here/check_export.py"
"$python" "$here/sheet.py" "$work/sheet-first.png"
"$python" "$here/sheet.py" "$work/sheet-clips.png" "$here/../../models/pocket" 41
