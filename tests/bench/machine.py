"""What /proc knows of a process: CPU time, memory, and what it has started."""

import pathlib
import resource

PROC = pathlib.Path("/proc")


def family(pid):
    """The process and its children, as nginx's workers are."""
    pids = [pid]
    for task in (PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            pids += family(int(child))
    return pids


def cpu_ns(pid):
    """User and system time of all threads of the family: the first number of schedstat is in ns."""
    total = 0
    for member in family(pid):
        for task in (PROC / str(member) / "task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def memory_kb(pid):
    """
    Anonymous memory of the family; what several share counts once. Not that of files: how many
    share a library changes with whatever else runs.
    """
    total = 0
    for member in family(pid):
        for line in (PROC / str(member) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                total += int(line.split()[1])
    return total


def is_listening(port):
    """Without connecting: a server may take that for a broken client."""
    wanted = "0100007F:%04X" % port
    lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in lines)


def raise_file_limit(wanted):
    """For this process and what it starts, as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((wanted, max(wanted, hard)), (hard, hard)):
        if soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
        except (ValueError, OSError):
            continue  # only root may raise the hard limit, and not everywhere


def max_files():
    """That each process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def description():
    """Processor, cores and kernel, for the head of a report."""
    model = "unknown processor"
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = (PROC / "cpuinfo").read_text().count("\nprocessor") + 1
    kernel = (PROC / "sys/kernel/osrelease").read_text().strip()
    load = (PROC / "loadavg").read_text().split()[0]
    return {"processor": model, "cores": cores, "kernel": kernel, "load_before": float(load)}
