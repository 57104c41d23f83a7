"""Moves this program into network, mount and process namespaces of its own, where it is root and nobody sees
or hears it. An ordinary user gets there by a user namespace, without any privilege; where the kernel refuses
that, by sudo. Whatever is started there ends with it.

    reason = enter()      # None: the program goes on inside; else it stays where it is, and this says why
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys

_NEWNS, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
_REC, _PRIVATE = 0x4000, 0x40000
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_PDEATHSIG = 1
# What a program under sudo keeps of its environment: these, and names that begin so.
_KEPT = ("PATH", "LANG", "TERM", "NO_COLOR", "LAB_", "SIM_", "TEALE_", "ASAN_", "UBSAN_", "TSAN_", "LSAN_")
_libc = ctypes.CDLL(None, use_errno=True)
_inside = False
# An ordinary user's PATH lacks these, and `nft`, `sysctl` or `miniupnpd` are there.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def die_with_parent():
    _libc.prctl(_PDEATHSIG, signal.SIGKILL)


def end_on_sigterm():
    """SIGTERM ends the program as `exit` does, so that it cleans up; a second one does not disturb that."""
    def end(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(143)
    signal.signal(signal.SIGTERM, end)


def enter(may_ask=False):
    """`may_ask`: sudo may ask for a password. Call it before any thread is started."""
    if _inside:
        return None
    missing = [tool for tool in ("ip", "nft") if not shutil.which(tool)]
    if missing:
        return f"no `{missing[0]}` command"
    reason = _enter_unprivileged()
    if reason and os.geteuid() != 0:
        reason += "; " + _enter_by_sudo(may_ask)
    return reason


def _enter_by_sudo(may_ask):
    """Starts the program again as root, and returns only if that cannot be: why."""
    sudo = ["sudo"] if may_ask else ["sudo", "-n"]
    if not shutil.which("sudo"):
        return "no sudo here"
    if subprocess.run([*sudo, "true"], stderr=None if may_ask else subprocess.DEVNULL).returncode:
        return "sudo refuses" if may_ask else "sudo wants a password, so run this as root"
    kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(_KEPT)]
    sys.stdout.flush()
    os.execvp("sudo", [*sudo, "env", *kept, "PYTHONDONTWRITEBYTECODE=1", sys.executable, *sys.argv])


def _enter_unprivileged():
    """The program forks: the caller of this returns in the child, inside. The parent waits for it and ends as
    it ended, or returns the reason why there is no inside."""
    global _inside
    sys.stdout.flush()
    sys.stderr.flush()
    report, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(report)
        _become_the_first_process(told)
        _inside = True
        os.environ.pop("XDG_RUNTIME_DIR", None)  # it is below /run, which is another one here
        return None
    os.close(told)
    with os.fdopen(report) as f:
        reason = f.read()
    if reason:
        os.waitpid(child, 0)
        return reason
    _end_as(child)


def _become_the_first_process(told):
    """Returns in a process inside the namespaces. Between it and the caller's parent stand two that wait: one
    outside, for the process namespace begins with the next child; one inside, its first process, which takes
    in what loses its parent."""
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        _unshare()
        die_with_parent()
        first = os.fork()
        if first:
            os.close(told)
            _end_as(first)
        die_with_parent()
        _make_it_a_home()
        worker = os.fork()
    except OSError as e:
        os.write(told, (e.strerror or str(e)).encode())
        os._exit(1)
    os.close(told)
    if worker:
        _end_as(worker)
    die_with_parent()
    for signo, handler in handlers.items():
        signal.signal(signo, handler)


def _end_as(child):
    """Waits for the child, takes in every other process that ends, and ends as the child did. SIGTERM is passed on: it
    stays blocked, for a handler of Python does not run while the process sleeps in a wait that it began just before."""
    told = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child, too
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if pid == 0 and signal.sigwait(told) == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)


def _unshare():
    """By the privilege that we have; else in a user namespace, where an ordinary user is root."""
    flags = _NEWNS | _NEWPID | _NEWNET
    if _libc.unshare(flags) == 0:
        return
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(flags | _NEWUSER):
        raise _error("namespaces are not allowed here (unshare)")
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
                f.write(text)
    except OSError as e:
        raise OSError(e.errno, f"a user namespace without root in it ({e.filename}: {e.strerror})") from e


def _make_it_a_home():
    """An own /proc and /run, for processes and for `ip netns`; loopback up; and the proof that what the lab
    needs can be made: a namespace, rules and devices in it."""
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV)
    for command in ("ip link set lo up", "ip netns add probe", "ip netns exec probe nft add table ip probe",
                    "ip -n probe link add probe0 type veth peer name probe1", "ip netns del probe"):
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if done.returncode:
            raise OSError(0, f"`{command}` fails: {done.stderr.strip().splitlines()[-1:] or done.returncode}")


def _mount(source, target, kind, flags):
    encoded = [value and value.encode() for value in (source, target, kind)]
    if _libc.mount(*encoded, ctypes.c_ulong(flags), b"mode=755" if kind == "tmpfs" else None):
        what = f"{kind} on {target}" if kind else f"private mounts below {target}"
        raise _error(f"{what} cannot be had here (mount)")


def _error(what):
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")
