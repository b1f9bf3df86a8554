"""A sluice under shim.c, which kills it, fails its calls and moves its clocks on our word."""

import mmap
import shutil
import struct

import procs

WRITE, SYNC, SEND, NAME, TRUNCATE = 1, 2, 4, 8, 16
(NONE, KILL_BEFORE, KILL_AFTER, TORN, EIO, ENOSPC, SHORT, STOP) = range(8)
STORE_FILES = ("sluice.db", "sluice.db-wal", "sluice.db-shm", "sluice.db-journal")
FIELDS = ("clock_ns", "fault", "classes", "at", "n_calls", "n_hits", "is_sticky", "mono_ns")


class Control:
    """struct control of shim.c, in a file that both map."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(8 * len(FIELDS)))
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), 0)

    def get(self, field):
        return struct.unpack_from("=q", self._map, 8 * FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into("=q", self._map, 8 * FIELDS.index(field), value)

    def arm(self, fault, classes, at=1, is_sticky=False):
        """The next `at`-th call of these classes; `fault` comes last, it is what arms."""
        self.disarm()
        for field, value in (("classes", classes), ("at", at), ("n_calls", 0), ("n_hits", 0),
                             ("is_sticky", int(is_sticky)), ("fault", fault)):
            self.set(field, value)

    def disarm(self):
        self.set("fault", NONE)

    @property
    def n_calls(self):
        return self.get("n_calls")

    @property
    def n_hits(self):
        return self.get("n_hits")

    def move_clock(self, seconds):
        """The wall clock is that much ahead of the real one."""
        self.set("clock_ns", int(seconds * 1e9))

    def pass_time(self, seconds):
        """Monotonic time goes on by so much at once."""
        self.set("mono_ns", self.get("mono_ns") + int(seconds * 1e9))

    def close(self):
        self._map.close()


class ShimmedSluice(procs.Sluice):
    """procs.Sluice with .control; what is durable of its store is in .shadow at any time."""

    def __init__(self, directory, fe, config=None, binary=None):
        super().__init__(directory, fe, config, binary)
        self.control = Control(self.directory / "control")
        self.shadow = self.directory / "shadow"
        self.shadow.mkdir()
        self.env.update({"LD_PRELOAD": str(library()), "SHIM_CONTROL": str(self.control.path),
                         "SHIM_SHADOW": str(self.shadow)})

    def launch(self):
        self.control.disarm()
        super().launch()

    def wait_killed(self, what="the shim to end sluice", timeout=30):
        procs.wait_until(lambda: not self.is_running(), timeout, what, interval=0.005)
        self.kill9()

    def lose_power(self):
        """Of a process that has ended: its store is what was synced, nothing else."""
        assert not self.is_running()
        for name in STORE_FILES:
            (self.directory / name).unlink(missing_ok=True)
            if (self.shadow / name).exists():
                shutil.copy2(self.shadow / name, self.directory / name)


def library():
    found = procs.build_dir() / "tests" / "faults" / "faultshim.so"
    if not found.exists():
        raise procs.ProcessError("%s is not there: build it first (tests/run --only build)" % found)
    return found
