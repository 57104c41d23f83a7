"""Runs the test functions of one lab file: those with a first argument `lab` and no underscore in front,
each in a lab of its own. What a name contains chooses one."""
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from enter import enter


def _is_test(value):
    code = getattr(value, "__code__", None)
    return (code is not None and not value.__name__.startswith("_") and code.co_argcount > 0
            and code.co_varnames[0] == "lab")


def _run(test, make_lab, more):
    """What to print of it, and whether it passed."""
    started = time.monotonic()
    said = []
    try:
        with make_lab(test.__name__[:20]) as lab:
            said = lab.said
            test(lab, *more[:test.__code__.co_argcount - 1])
        head, passed = f"ok      {test.__name__} ({time.monotonic() - started:.1f} s)", True
    except Exception:
        head, passed = f"FAILED  {test.__name__}\n{traceback.format_exc()}", False
    print("\n".join([f"    {line}" for line in said] + [head]), flush=True)
    return passed


def run_tests(names, argv, make_lab, *more, workers=1):
    """The exit code for Meson: 0, 1, or 77 where no namespaces can be made. `argv` may hold a part of the
    wanted tests' names; `more` is handed to each test, as much of it as it takes, behind its lab. So
    many `workers` run tests at once."""
    reason = enter()
    if reason:
        print(f"skipped: {reason}")
        return 77
    module = names["__name__"]
    tests = [v for v in names.values() if _is_test(v) and v.__module__ == module]
    chosen = [t for t in tests if not argv or argv[0] in t.__name__]
    with ThreadPoolExecutor(workers) as pool:
        passed = sum(pool.map(lambda test: _run(test, make_lab, more), chosen))
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return int(passed < len(chosen) or not chosen)
