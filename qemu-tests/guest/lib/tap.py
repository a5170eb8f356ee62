# SPDX-License-Identifier: GPL-2.0
"""TAP, and scenarios: stories whose steps build on each other."""

import time
import traceback


# Timeout of all waits, in seconds. They end early with the event that they wait for, so this only
# has to be longer than the busiest machine needs.
PATIENCE = 300


class Failure(Exception):
    """A check has failed; the text says which."""


class Skip(Exception):
    """The step does not apply here; the text says why."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def check_equal(what, got, wanted):
    check(got == wanted, f"{what}: {got}, expected {wanted}")


def step(text, times=1, thorough=None):
    """Make a scenario's method a step, or that many steps (@thorough of them with --thorough), in
    the order of definition."""
    def mark(method):
        method.step = (text, times, thorough or times)
        return method
    return mark


class Scenario:
    """Steps are methods marked by @step. After a failed step, the remaining ones are not run, and
    count as failed, too."""

    def __init__(self, thorough=False):
        self.thorough = thorough

    def steps(self):
        """All steps: name and method."""
        found = []
        for method in vars(type(self)).values():
            if hasattr(method, "step"):
                text, times, thorough = method.step
                times = thorough if self.thorough else times
                for number in range(1, times + 1):
                    count = f" ({number} of {times})" if times > 1 else ""
                    found.append((f"{self.name}: {text}{count}", method))
        return found

    def teardown(self):
        """Always called at the end."""

    def post_mortem(self):
        """Lines that help to explain why a step failed."""
        return []


class Report:
    def __init__(self, out, planned):
        self.out = out
        self.count = 0
        self.failed = False
        self._print("TAP version 13")
        self._print(f"1..{planned}")

    def _print(self, line):
        print(line, file=self.out, flush=True)

    def diagnose(self, lines):
        for line in lines:
            self._print(f"# {line}")

    def result(self, good, text):
        self.count += 1
        self.failed |= not good
        self._print(f'{"ok" if good else "not ok"} {self.count} {text}')


def _run_step(report, scenario, name, method):
    start = time.monotonic()
    try:
        method(scenario)
    except Skip as reason:
        report.result(True, f"{name} # SKIP {reason}")
        return True
    except Exception as error:  # in any case, continue with the other scenarios
        report.result(False, name)
        if isinstance(error, Failure):
            report.diagnose(str(error).splitlines())
        else:
            report.diagnose(traceback.format_exc().splitlines())
        report.diagnose(scenario.post_mortem())
        return False
    report.result(True, name)
    report.diagnose([f"{time.monotonic() - start:.1f} s"])
    return True


def run(scenarios, out):
    """Run scenarios, and return whether all have passed."""
    report = Report(out, sum(len(scenario.steps()) for scenario in scenarios))
    for scenario in scenarios:
        going = True
        try:
            for name, method in scenario.steps():
                if going:
                    going = _run_step(report, scenario, name, method)
                else:
                    report.result(False, f"{name} (not run)")
        finally:
            scenario.teardown()
    return not report.failed
