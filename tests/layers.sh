#!/bin/sh
# Each layer includes only layers to its right: api > pipeline > models, text, vae > weights > tensor > kernels > base.
# Wrappers and tools see <sora/sora.h> alone.  frame sees kernels and base, and is seen by api and pipeline.
cd "${SRCDIR:-.}" || exit 1
bad=0

# allowed FOLDER "LAYERS": files of core/FOLDER may include "LAYER/..." of these, and of themselves
allowed() {
    for f in $(find "core/$1" -name '*.[ch]' -o -name '*.cc' | sort); do
        for inc in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$f"); do
            layer=${inc%%/*}
            case " $2 " in
            *" $layer "*) ;;
            *)
                case $inc in
                config.h) ;;
                *) echo "layers: $f includes \"$inc\""; bad=1 ;;
                esac ;;
            esac
            case $f:$inc in
            core/models/*:models/*/*)           # one family never includes another
                own=${f#core/models/}; own=${own%%/*}
                other=${inc#models/}; other=${other%%/*}
                [ "$f" = core/models/model.c ] || [ "$own" = "$other" ] ||
                    { echo "layers: $f includes the other family's \"$inc\""; bad=1; } ;;
            esac
        done
    done
}
allowed base     "base"
allowed kernels  "base kernels"
allowed tensor   "base kernels tensor"
allowed weights  "base kernels tensor weights"
allowed text     "base kernels tensor weights text"
allowed vae      "base kernels tensor weights vae"
allowed models   "base kernels tensor weights models"
allowed frame    "base kernels frame"
allowed pipeline "base kernels tensor weights models text vae frame pipeline"
allowed api      "base kernels tensor weights models text vae frame pipeline api"

for f in $(grep -rlE '#[[:space:]]*include[[:space:]]*[<"](oneapi/dnnl/)?dnnl' core); do
    case $f in core/tensor/dnnl*) ;; *) echo "layers: $f includes oneDNN"; bad=1 ;; esac
done
for f in gst/*.[ch] avfilter/*.[ch] tools/*.[ch]; do
    [ -f "$f" ] || continue
    for inc in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$f"); do
        case $inc in
        base/* | kernels/* | tensor/* | weights/* | text/* | vae/* | models/* | frame/* | pipeline/* | api/*)
            echo "layers: $f includes the internal \"$inc\""; bad=1 ;;
        esac
    done
done
for f in $(grep -rlE '\bgetenv *\(' core); do
    case $f in core/api/find.c) ;; *) echo "layers: $f reads the environment"; bad=1 ;; esac
done
[ $bad = 0 ] && echo "layers: in order"
exit $bad
