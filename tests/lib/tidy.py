"""clang-tidy, a few files at a time; a file that was clean is not looked at again until it, a header
of ours it includes, the configuration or the tool changes."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import time

import results

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
COMPLAINT = re.compile(r"^([^\s:]+):(\d+):\d+: (?:error|warning): (.*)$", re.M)
TOOL = "clang-tidy-14"
KEPT_DAYS = 30


def _cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base) / "sluice" / "tidy"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _forget_old(cache):
    limit = time.time() - KEPT_DAYS * 86400
    for entry in cache.iterdir():
        try:
            if entry.stat().st_mtime < limit:
                entry.unlink()
        except FileNotFoundError:
            pass  # another run was quicker


def with_headers(root, path):
    """`path` and every header of ours it reaches; includes are written from the root."""
    seen, todo = {}, [path]
    while todo:
        p = todo.pop()
        if p in seen or not p.is_file():
            continue
        seen[p] = p.read_bytes()
        todo += [root / name for name in INCLUDE.findall(seen[p].decode(errors="replace"))]
    return seen


def _key(root, path, salt):
    digest = hashlib.sha256(salt)
    for p, content in sorted(with_headers(root, path).items()):
        digest.update(str(p.relative_to(root)).encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


def _look(root, path):
    done = subprocess.run([TOOL, "-p", str(root / "build"), "--quiet",
                           "--extra-arg=-Wno-unknown-warning-option", str(path)],
                          cwd=root, capture_output=True, text=True, check=False)
    text = done.stdout if done.returncode else ""
    if done.returncode and not text.strip():
        text = done.stderr
    return path, done.returncode, text


def distinct(root, text):
    """One line for each complaint: a header's comes once for every file that includes it."""
    found = {}
    for path, place, what in COMPLAINT.findall(text):
        full = pathlib.Path(path)
        full = (full if full.is_absolute() else root / "build" / full).resolve()
        name = full.relative_to(root) if full.is_relative_to(root) else full
        found["%s:%s: %s" % (name, place, what.replace(",-warnings-as-errors", ""))] = True
    return list(found)


def run(log, root, files, jobs):
    version = subprocess.run([TOOL, "--version"], capture_output=True, check=True).stdout
    salt = version + (root / ".clang-tidy").read_bytes() + (root / "meson.build").read_bytes()
    cache = _cache_dir()
    keys = {path: _key(root, path, salt) for path in files}
    todo = [path for path in files if not (cache / keys[path]).exists()]
    out = results.Outcome(passed=len(files) - len(todo))
    bad = ""
    with open(log, "w", encoding="utf-8") as to, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for path, code, text in pool.map(lambda p: _look(root, p), todo):
            to.write("%s: %s\n%s\n" % (path.relative_to(root), "bad" if code else "clean", text))
            if code:
                out.failed += 1
                bad += text + "\n"
            else:
                out.passed += 1
                (cache / keys[path]).touch()
    if out.failed:
        out.show.append("\n".join(distinct(root, bad)) or bad[-4000:])
    _forget_old(cache)
    return out
