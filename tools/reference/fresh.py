# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which random model a reference script makes: the committed one, or with REFERENCE_SEED=N another with other sizes."""
import os
import random

SEED = int(os.environ.get("REFERENCE_SEED", "0"))
_random = random.Random(SEED)


def seed(own):
    """own: the script's seed for the committed files"""
    return own + 1000003 * SEED


def pick(own, *others):
    """own for the committed files, else any of the values."""
    return _random.choice((own, *others)) if SEED else own
