# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make bench`` says and ends with, and what its measurements count."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmark.__main__ import FIGURES, main
from benchmark.figures import Measurement, MeasurementError
from benchmark.meter import usage_of_tree

BURNED = 0.3
BURN = f"import time\nwhile time.process_time() < {BURNED}: pass\n"


def figure(*values: tuple[float, float | None]) -> dict[str, object]:
    """Return a figure that measures these values with these limits."""
    return {"example": lambda rounds: [Measurement(f"value {value}", value, limit) for value, limit in values]}


def run(figures: dict[str, object], *arguments: str) -> int:
    """Run the program with these figures instead of its own."""
    return main(arguments, figures)  # type: ignore[arg-type]  # the lambdas above have no annotations


@pytest.mark.parametrize(
    ("value", "limit", "status", "verdict"),
    [
        (0.19, 0.20, 0, "ok"),
        (0.20, 0.20, 0, "ok"),
        (0.21, 0.20, 1, "over"),
        (float("nan"), 0.20, 1, "over"),
        (100.0, None, 0, "-"),
    ],
)
def test_a_figure_over_its_limit_ends_with_1(
    capsys: pytest.CaptureFixture[str], value: float, limit: float | None, status: int, verdict: str
) -> None:
    assert run(figure((value, limit))) == status
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith(f"value {value} ")
    assert line.split()[-1] == verdict


def test_every_measurement_is_printed_although_one_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(figure((2.0, 1.0), (1.0, 1.0))) == 1
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == ["over", "ok"]


def test_a_figure_that_cannot_be_measured_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(rounds: int) -> Iterator[Measurement]:
        yield Measurement("first", 1.0, None)
        raise MeasurementError("no such thing")

    assert run({"broken": broken, **figure((1.0, 1.0))}) == 1
    _header, first, problem, last = capsys.readouterr().out.splitlines()
    assert first.startswith("first ")
    assert problem == "broken: could not be measured: no such thing"
    assert last.endswith(" ok")


def test_one_figure_in_some_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    def count(rounds: int) -> list[Measurement]:
        return [Measurement("rounds", rounds, None)]

    assert run({**figure((2.0, 1.0)), "count": count}, "--figure", "count", "--rounds", "7") == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split() == ["rounds", "7.00", "-", "-"]


@pytest.mark.parametrize("arguments", [("--rounds", "0"), ("--figure", "none")])
def test_wrong_arguments(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, FIGURES)
    assert ended.value.code == 2


def test_cpu_of_a_process_that_has_left_the_tree_is_counted(tmp_path: Path) -> None:
    leave = "import os\nos.fork() == 0 or os._exit(0)\nos.setsid()\nos.fork() == 0 or os._exit(0)\n"
    status, seconds, _memory = usage_of_tree([sys.executable, "-c", leave + BURN], os.environ, tmp_path / "output")
    assert status == 0
    assert seconds >= BURNED


def test_cpu_of_the_measuring_process_is_not_counted(tmp_path: Path) -> None:
    begin = time.process_time()
    while time.process_time() - begin < BURNED:
        pass
    status, seconds, _memory = usage_of_tree(["sh", "-c", "echo said; exit 3"], os.environ, tmp_path / "output")
    assert status == 3
    assert seconds < BURNED
    assert (tmp_path / "output").read_text() == "said\n"
