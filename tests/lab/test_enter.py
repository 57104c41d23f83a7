#!/usr/bin/env python3
"""How a program ends that has moved into namespaces (enter.py): as the process inside does. Needs no namespace."""
import os
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
import enter  # noqa: E402


OS_WAIT = os.wait


def waiting(work, wait=None):
    """A process that waits for another one, which does that work: its ID. `wait` takes the place of os.wait there."""
    waits = os.fork()
    if waits == 0:
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        try:
            os.wait = wait or os.wait
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

        def wait():
            os.write(tells, b"w")
            return OS_WAIT()
        waits = waiting(work, wait)
        heard = b""
        while len(heard) < 2:  # both have their handlers
            heard += os.read(told, 2)
        os.close(told)
        os.close(tells)
        os.kill(waits, signal.SIGTERM)
        self.assertEqual(end_of(waits), 7)

    def test_sigterm_after_the_childs_end_changes_nothing(self):
        def wait_and_be_told():
            ended = OS_WAIT()
            os.kill(os.getpid(), signal.SIGTERM)
            return ended
        self.assertEqual(end_of(waiting(lambda: os._exit(3), wait_and_be_told)), 3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
