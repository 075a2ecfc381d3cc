#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The reference implementations, by pip, in a virtual environment of their own:   setup.sh FOLDER
# The versions are those that the committed references in tests/ref were made with.
set -eu
venv=${1:?usage: setup.sh FOLDER}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import diffusers, ftfy, sentencepiece, transformers' 2>/dev/null ||
    "$venv/bin/pip" install -q numpy safetensors sentencepiece protobuf ftfy torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 accelerate
"$venv/bin/python" -c 'import diffusers, torch, transformers
print("torch", torch.__version__, "diffusers", diffusers.__version__, "transformers", transformers.__version__)'
