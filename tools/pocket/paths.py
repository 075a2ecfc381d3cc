# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the training keeps its files: data, checkpoints and logs. Nothing here enters the repository."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(os.environ.get("POCKET_WORK", ROOT / ".cache" / "pocket"))
MODEL = ROOT / "models" / "pocket"

TOKENIZER = WORK / "spiece.model"
CODEC = WORK / "codec.npz"
