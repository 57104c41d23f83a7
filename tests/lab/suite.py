"""Runs the test functions of one lab file: those with a first argument `lab` and no
underscore in front, each in a lab of its
own. What a name contains chooses one."""
import time
import traceback

from lab import namespaces_work


def _is_test(value):
    code = getattr(value, "__code__", None)
    return (code is not None and not value.__name__.startswith("_") and code.co_argcount > 0
            and code.co_varnames[0] == "lab")


def run_tests(names, argv, make_lab, *more):
    """The exit code for Meson: 0, 1, or 77 where no namespaces can be made. `argv` may hold a part of the
    wanted tests' names; `more` is handed to each test, as much of it as it takes, behind its lab."""
    reason = namespaces_work()
    if reason:
        print(f"skipped: {reason}")
        return 77
    module = names["__name__"]
    tests = [v for v in names.values() if _is_test(v) and v.__module__ == module]
    chosen = [t for t in tests if not argv or argv[0] in t.__name__]
    failed = 0
    for test in chosen:
        started = time.monotonic()
        try:
            with make_lab(test.__name__[:20]) as lab:
                test(lab, *more[:test.__code__.co_argcount - 1])
            print(f"ok      {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {test.__name__}", flush=True)
            traceback.print_exc()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return int(bool(failed) or not chosen)
