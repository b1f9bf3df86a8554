"""Meson builds of this tree. Shared by tests/run and deploy/quickstart."""

import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = 2

_CLANG = {"CC": "clang-14"}
_COMMON = ["-Dwerror=true", "-Db_colorout=never"]
_SANITIZED = [*_COMMON, "-Db_lundef=false", "-Doptimization=1"]

# directory: (environment of `meson setup`, its options)
BUILDS = {
    "build": ({"CC": "gcc"}, _COMMON),
    "build-asan": (_CLANG, ["-Db_sanitize=address,undefined", *_SANITIZED]),
    "build-tsan": (_CLANG, ["-Db_sanitize=thread", *_SANITIZED]),
}

SANITIZER_ENV = {
    "ASAN_OPTIONS": "halt_on_error=1:abort_on_error=0:detect_stack_use_after_return=1:"
                    "strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=66",
}


def sanitizer_env():
    """With our lists of what the sanitizers get wrong about libraries, where there is one."""
    env = dict(SANITIZER_ENV)
    for key, name in (("TSAN_OPTIONS", "tsan.supp"), ("LSAN_OPTIONS", "lsan.supp")):
        path = ROOT / "tests/lib" / name
        if path.exists():
            env[key] = (env.get(key, "") + ":suppressions=%s" % path).lstrip(":")
    return env


def _with_ccache(env):
    """Meson finds ccache by itself only where no compiler is named."""
    if shutil.which("ccache"):
        return {key: "ccache " + value for key, value in env.items()}
    return env


def commands(name, targets=()):
    """
    The commands that bring a build directory up to date: [(argv, extra environment)]. All of it
    unless targets are named.
    """
    env, options = BUILDS[name]
    path = ROOT / name
    env = _with_ccache(env)
    stamp = path / "setup.json"
    wanted = json.dumps([env, options])
    out = []
    if not (path / "build.ninja").exists() or not stamp.exists() or stamp.read_text() != wanted:
        for inside in ("meson-private", "meson-info", "meson-logs", "build.ninja"):
            victim = path / inside
            shutil.rmtree(victim) if victim.is_dir() else victim.unlink(missing_ok=True)
        path.mkdir(exist_ok=True)
        stamp.write_text(wanted)
        out.append((["meson", "setup", str(path), str(ROOT), *options], env))
    out.append((["meson", "compile", "-C", str(path), "-j", str(JOBS), *targets], {}))
    return out


def without_aslr():
    """
    A prefix that runs a program at fixed addresses: the sanitizers' shadow memory of clang 14 does
    not fit kernels with much randomness. Empty where the container forbids it.
    """
    prefix = ["setarch", "-R"]
    try:
        works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return prefix if works else []
