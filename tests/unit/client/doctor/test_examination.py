"""Checks run side by side; one that hangs or fails is a finding like any other."""

from __future__ import annotations

import asyncio
import threading

from teleglyph.client.doctor.examination import Check, Result, examine, immediate, in_thread
from teleglyph.client.doctor.report import Finding, Verdict, ok
from teleglyph.errors import CameraError


def check(name: str, run: object, seconds: float = 20.0) -> Check:
    return Check(name, name, run, "Unplug it.", seconds)  # type: ignore[arg-type]


async def good() -> Finding:
    return ok("Fine.")


def run(*checks: Check) -> list[Result]:
    return asyncio.run(examine(checks))


def test_results_are_in_the_order_of_the_checks() -> None:
    gate = asyncio.Event()

    async def late() -> Finding:
        await gate.wait()
        return ok("Late.")

    async def early() -> Finding:
        gate.set()
        return ok("Early.")

    shown: list[str] = []
    checks = [check("late", late), check("early", early)]
    results = asyncio.run(examine(checks, lambda result: shown.append(result.finding.text)))
    assert [result.finding.text for result in results] == shown == ["Late.", "Early."]


def test_a_check_that_hangs_is_a_problem_and_the_others_are_done() -> None:
    async def hang() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    stuck, fine = run(check("stuck", hang, 0.05), check("fine", good))
    assert stuck.finding.verdict is Verdict.PROBLEM
    assert stuck.finding.text == "This check did not finish within 0.05 s."
    assert stuck.finding.step == "Unplug it."
    assert fine.finding.verdict is Verdict.OK


def test_a_thread_that_hangs_delays_nothing() -> None:
    release = threading.Event()

    def hang() -> Finding:
        release.wait()
        return ok("Too late.")

    stuck, fine = run(check("stuck", in_thread(hang), 0.05), check("fine", in_thread(lambda: ok("Fine."))))
    release.set()
    assert stuck.finding.verdict is Verdict.PROBLEM
    assert fine.finding.text == "Fine."


def test_a_check_that_ignores_its_cancellation_delays_no_other() -> None:
    release = asyncio.Event()

    async def stubborn() -> Finding:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ok("At last.")

    async def main() -> list[Result]:
        try:
            return await examine([check("stubborn", stubborn, 0.05), check("fine", good)])
        finally:
            release.set()

    results = asyncio.run(main())
    assert [result.finding.verdict for result in results] == [Verdict.PROBLEM, Verdict.OK]


def test_a_check_that_crashes_says_how() -> None:
    def crash() -> Finding:
        raise ZeroDivisionError("nothing there")

    for made in (in_thread(crash), immediate(crash)):
        crashed, fine = run(check("crashed", made), check("fine", good))
        assert crashed.finding.verdict is Verdict.PROBLEM
        assert crashed.finding.text == "This check itself failed: ZeroDivisionError: nothing there."
        assert "--log-level debug" in crashed.finding.step
        assert fine.finding.verdict is Verdict.OK


def test_an_error_of_ours_is_its_own_explanation() -> None:
    def fail() -> Finding:
        raise CameraError("The camera is on fire.")

    (result,) = run(check("camera", in_thread(fail)))
    assert result.finding.text == "The camera is on fire."
    assert result.finding.step


def test_a_check_that_cancels_itself_is_a_problem() -> None:
    async def cancelled() -> Finding:
        raise asyncio.CancelledError

    (result,) = run(check("cancelled", cancelled))
    assert result.finding.text == "This check ended early."
