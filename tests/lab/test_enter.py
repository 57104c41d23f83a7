#!/usr/bin/env python3
"""How a program ends that has moved into namespaces (enter.py): as the process inside does. Needs no namespace."""
import os
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
import enter  # noqa: E402


SIGWAIT = signal.sigwait


def waiting(work, sigwait=SIGWAIT):
    """A process that waits for another one, which does that work: its ID. `sigwait` takes the place of signal.sigwait there."""
    waits = os.fork()
    if waits == 0:
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        try:
            signal.sigwait = sigwait
            enter._end_as(child)
        finally:
            os._exit(99)
    return waits


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class End(unittest.TestCase):
    def test_it_ends_as_the_child_does(self):
        self.assertEqual(end_of(waiting(lambda: os._exit(5))), 5)
        self.assertEqual(end_of(waiting(lambda: os.kill(os.getpid(), signal.SIGKILL))), 128 + signal.SIGKILL)

    def test_sigterm_is_the_childs(self):
        told, tells = os.pipe()

        def work():
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
            os.write(tells, b"w")
            time.sleep(60)

        def sigwait(signals):
            os.write(tells, b"w")
            return SIGWAIT(signals)
        waits = waiting(work, sigwait)
        heard = b""
        while len(heard) < 2:  # both are ready for it
            heard += os.read(told, 2)
        os.close(told)
        os.close(tells)
        os.kill(waits, signal.SIGTERM)
        self.assertEqual(end_of(waits), 7)

    def test_sigterm_after_the_childs_end_changes_nothing(self):
        def be_told_as_well(signals):
            told = SIGWAIT(signals)
            os.kill(os.getpid(), signal.SIGTERM)
            return told
        self.assertEqual(end_of(waiting(lambda: os._exit(3), be_told_as_well)), 3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
