"""Runs one command with its output in a file, a deadline, and nothing left behind afterwards."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10.0  # on a busy machine; nobody waits for it who leaves nothing behind


def adopt_orphans():
    """From now on whatever our descendants leave behind becomes our child, so we can find it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children(pid):
    """(pid, state, command) of every child of `pid`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            name, rest = stat.rsplit(")", 1)
            state, parent = rest.split()[:2]
            if int(parent) == pid:
                raw = pathlib.Path("/proc", entry, "cmdline").read_bytes()
                command = raw.replace(b"\0", b" ").decode(errors="replace").strip()
                found.append((int(entry), state, command or name.split("(", 1)[1]))
        except (FileNotFoundError, ProcessLookupError, ValueError):
            continue
    return found


def kill_tree(pid):
    """SIGKILL for `pid` and all below it, parents first so that none is restarted."""
    below = children(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for child, _, _ in below:
        kill_tree(child)


def reap_orphans():
    """Waits a little for our adopted children to go, then kills them. Returns their commands."""
    deadline = time.monotonic() + GRACE_S
    left = []
    while True:
        alive = []
        for pid, state, command in children(os.getpid()):
            if state == "Z":
                os.waitpid(pid, 0)
            else:
                alive.append((pid, command))
        if not alive:
            return left
        if time.monotonic() > deadline:
            for pid, command in alive:
                if command not in left:
                    left.append(command)
                kill_tree(pid)
        time.sleep(0.02)


def end(process):
    """Asks first: pytest cleans up its fixtures on SIGINT."""
    for number, wait_s in ((signal.SIGINT, 20), (signal.SIGTERM, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(wait_s)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    kill_tree(process.pid)
    process.wait()


def run(command, log, *, cwd, env=None, timeout_s=600):
    """Returns (exit code, what is wrong besides or ''). `log` is appended to."""
    note = ""
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        out.flush()
        try:
            process = subprocess.Popen(list(map(str, command)), cwd=cwd, stdout=out,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       env={**os.environ, **(env or {})}, start_new_session=True)
        except OSError as e:
            return 127, "cannot start %s: %s" % (command[0], e.strerror)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            end(process)
            code, note = 124, "ended after %d s" % timeout_s
        except BaseException:
            end(process)
            reap_orphans()
            raise
        left = reap_orphans()
    if left:
        note = "; ".join(filter(None, [note, "left processes behind: " + " | ".join(left)]))
    return code, note
