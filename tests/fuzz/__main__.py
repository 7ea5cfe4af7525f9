# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make fuzz`: every target for a while, with inputs chosen by the code that they reach.

What was found interesting is kept in build/fuzz, so that the next run goes on from there.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import collection_loader

COLLECTION = "ansible_collections.agentless.codedeploy"
KEPT = Path(collection_loader.CHECKOUT) / "build" / "fuzz"
LONGEST_SECONDS = 60
LONGEST_INPUT = 16384
SEEDS, SEED_SIZE = 40, 4096
LARGEST_MEGABYTES = 2048
TARGETS = ("appspec-bytes", "appspec-texts", "archive-bytes", "archives", "state-files", "installs")


def target(name: str) -> tuple[Callable[[bytes], object], list[bytes]]:
    """Return what tries one input, and inputs to begin with."""
    from fuzz import appspec_texts, archives, test_fuzz

    if name == "appspec-bytes":
        return appspec_texts.check, appspec_texts.seeds()
    if name == "archive-bytes":
        return archives.check_bytes, archives.seeds()
    tests = {
        "appspec-texts": test_fuzz.test_appspec_texts,
        "archives": test_fuzz.test_archives,
        "state-files": test_fuzz.test_state_files,
        "installs": test_fuzz.test_installs,
    }
    # Hypothesis takes its choices from the bytes, and needs many of them for anything but the smallest input.
    seeds = [random.Random(number).randbytes(SEED_SIZE) for number in range(SEEDS)]
    return tests[name].hypothesis.fuzz_one_input, seeds  # type: ignore[attr-defined]  # Hypothesis adds it


def run(name: str, seconds: int) -> None:
    """Try inputs of one target until the time is over or one fails; ends the process."""
    import atheris

    with atheris.instrument_imports(include=[COLLECTION]):
        check, seeds = target(name)
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={LONGEST_SECONDS}",
        f"-rss_limit_mb={LARGEST_MEGABYTES}",
        f"-artifact_prefix={KEPT}/{name}-failed-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], check)
    atheris.Fuzz()


def main() -> int:
    """Run the targets one after the other; return the number of those that failed."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="by default all of them")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", "60")), help="for each")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        run(options.targets[0], options.seconds)
    failed = []
    for name in options.targets or TARGETS:
        print(f"{name}: {options.seconds} seconds", flush=True)
        command = [sys.executable, "-m", "fuzz", "--here", "--seconds", str(options.seconds), name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}; the inputs are in {KEPT}" if failed else "no target failed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
