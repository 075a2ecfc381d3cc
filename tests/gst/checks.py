#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The acceptance checks of sorasrc.

    tests/gst/checks.py [--build FOLDER] [--installed] [--list] [NAME ...]

Each check is a function of the modules below whose first line of documentation is its title.  It runs in a process of
its own, prints "ok NAME title: figure", "FAIL NAME ..." or "skip NAME ...", and where a time is judged, videotestsrc is
timed beside it.  NAME: A05, or a piece of a name.
"""

import importlib
import inspect
import os
import subprocess
import sys
import tempfile
import traceback

here = os.path.dirname(os.path.abspath(__file__))
source = os.path.dirname(os.path.dirname(here))
MODULES = ["checks_element", "checks_stream", "checks_chains"]


def checks():
    for name in MODULES:
        module = importlib.import_module(name)
        for key, f in vars(module).items():
            if key[0] == "A" and key[1:3].isdigit() and inspect.isfunction(f):
                yield key, f


def one(name):
    """In the check's own process."""
    import rig

    rig.Gst.init(None)
    f = dict(checks())[name]
    title = f.__doc__.splitlines()[0].rstrip(".")
    try:
        figure = f()
        print(f"ok {name} {title}{': ' + figure if figure else ''}")
    except rig.Skip as e:
        print(f"skip {name} {title}: {e}")
    except Exception as e:  # noqa: BLE001: whatever it is, it is what the check has found
        print(f"FAIL {name} {title}: {e}")
        if not isinstance(e, AssertionError):
            traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # what a check has left running is no concern of the next


def environment(build, installed, registry):
    env = dict(
        os.environ,
        GST_REGISTRY=registry,
        GST_REGISTRY_1_0=registry,
        G_DEBUG="fatal-criticals",
        GST_STATE_IGNORE_ELEMENTS="",
        OMP_WAIT_POLICY="passive",
        SORA_SOURCE=source,
        PYTHONPATH=here,
        PYTHONDONTWRITEBYTECODE="1",
        SORA_BUILD=build,
    )
    env.setdefault("SORA_MODEL_PATH", os.path.join(source, "models"))
    if not installed:
        env["GST_PLUGIN_PATH_1_0"] = os.path.join(build, ".libs")
        env["GST_PRESET_PATH"] = os.path.join(source, "gst")
    return env


def main(args):
    build, installed, names = os.path.join(source, ".cache", "build"), False, []
    while args:
        a = args.pop(0)
        if a == "--build":
            build = os.path.abspath(args.pop(0))
        elif a == "--installed":
            installed = True
        elif a == "--list":
            sys.path.insert(0, here)
            for key, f in checks():
                print(key, f.__doc__.splitlines()[0])
            return 0
        elif a == "--one":
            return one(args.pop(0))
        else:
            names.append(a)
    sys.path.insert(0, here)
    try:
        found = [key for key, _ in checks() if not names or any(n in key for n in names)]
    except (ImportError, ValueError) as e:
        print(f"skip checks of sorasrc: {e}")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="sora-checks-") as tmp:
        env = environment(build, installed, os.path.join(tmp, "registry"))
        for key in found:
            try:
                out = subprocess.run(
                    [sys.executable, os.path.abspath(__file__), "--one", key],
                    env=env,
                    timeout=120,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=tmp,
                    check=False,
                )
                text = out.stdout.decode("utf-8", "replace")
                if out.returncode or not any(line.startswith(("ok ", "FAIL ", "skip ")) for line in text.splitlines()):
                    text = f"FAIL {key} ended with status {out.returncode}\n{text[-2000:]}\n"
            except subprocess.TimeoutExpired as e:
                text = f"FAIL {key} did not end in {e.timeout:.0f} s\n{(e.stdout or b'').decode('utf-8', 'replace')[-2000:]}\n"
            bad += "FAIL " + key in text
            print(text, end="", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
