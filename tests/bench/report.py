"""The results as text: a table for each case, then what sluice must reach."""

RATE_COLUMNS = (("rate", "rate/s", "%.0f"), ("p50_us", "p50 µs", "%.0f"),
                ("p99_us", "p99 µs", "%.0f"), ("cpu_us", "CPU µs", "%.1f"))
BIG_COLUMNS = (("rate", "MB/s", "%.0f"), ("cpu_s_per_gb", "CPU s/GB", "%.2f"))
SHOWN_PEERS = ("direct", "nginx", "haproxy")
BUSY = 0.95  # of a core: then the load itself is what limits


def cell(value, form):
    return "-" if value is None else form % value


def lines_of(rows):
    """Right-aligned columns, but for the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        yield "  " + "  ".join(cells).rstrip()


def ratio_table(result, columns):
    peers = [p for p in SHOWN_PEERS if p in result["candidates"]]
    head = ["", *(title for _, title, _ in columns), *("rate/" + p for p in peers),
            *("CPU/" + p for p in peers if p != "direct")]
    rows = [head]
    for name, entry in result["candidates"].items():
        rows.append([name, *(cell(entry["median"][key], form) for key, _, form in columns),
                     *(cell(entry["rate_ratio"].get(p), "%.2f") for p in peers),
                     *(cell(entry["cpu_ratio"].get(p), "%.2f") for p in peers if p != "direct")])
    return rows


def stall_table(result):
    return [["", "grown KB"]] + [[name, "%d" % entry["rounds"][0]["grown_kb"]]
                                 for name, entry in result["candidates"].items()]


def idle_table(result):
    first = next(iter(result["candidates"].values()))["rounds"]
    rows = [["", *("KB each of %d" % step["connections"] for step in first)]]
    for name, entry in result["candidates"].items():
        rows.append([name, *("%.1f" % step["kb"] for step in entry["rounds"])])
    return rows


TABLES = {
    "rate": lambda result: ratio_table(result, RATE_COLUMNS),
    "big": lambda result: ratio_table(result, BIG_COLUMNS),
    "stall": stall_table,
    "idle": idle_table,
}


def case_text(result):
    parts = ["%s  [%s]" % (result["title"], result["name"])]
    if result["candidates"]:
        parts += lines_of(TABLES[result["form"]](result))
    for name, entry in result["candidates"].items():
        if entry.get("median", {}).get("client_busy", 0) > BUSY:
            parts.append("  note: the load of %s was busy all the time and may be what limits"
                         % name)
    parts += ["  %s: %s" % item for item in result["notes"].items()]
    return "\n".join(parts) + "\n"


# --- what sluice must reach -----------------------------------------------------------------------

def ratio_goals(results):
    """(what, value, bound, is it an upper bound)"""
    for result in results:
        sluice = result["candidates"].get("sluice")
        name = result["name"]
        if not sluice or result["form"] not in ("rate", "big") or name.startswith("tls"):
            continue
        if name.startswith(("select1", "sysbench")):
            yield name + ": CPU / nginx", sluice["cpu_ratio"].get("nginx"), 1.0, True
            yield name + ": CPU / haproxy", sluice["cpu_ratio"].get("haproxy"), 0.9, True
        if result["form"] == "big":
            yield name + ": CPU s/GB", sluice["median"]["cpu_s_per_gb"], 0.7, True
        yield name + ": rate / haproxy", sluice["rate_ratio"].get("haproxy"), 1.0, False


def other_goals(results):
    for result in results:
        sluice = result["candidates"].get("sluice")
        if not sluice:
            continue
        if result["form"] == "stall":
            yield "stall: grown MB", sluice["rounds"][0]["grown_kb"] / 1024, 1.0, True
        elif result["name"] == "idle":
            for step in sluice["rounds"]:
                yield "idle: KB each of %d" % step["connections"], step["kb"], 4.0, True
        elif result["name"].startswith("tls"):
            yield result["name"] + ": CPU µs", sluice["median"]["cpu_us"], 36.0, True


def goals(results):
    found = []
    for what, value, bound, is_upper in [*ratio_goals(results), *other_goals(results)]:
        if value is not None:
            is_met = value <= bound if is_upper else value >= bound
            found.append({"what": what, "value": value, "bound": bound,
                          "is_upper": is_upper, "is_met": is_met})
    return found


def goals_text(found):
    rows = [["", "is", "must be", ""]]
    for goal in found:
        rows.append([goal["what"], "%.2f" % goal["value"],
                     "%s %.2f" % ("<=" if goal["is_upper"] else ">=", goal["bound"]),
                     "ok" if goal["is_met"] else "MISSED"])
    n_met = sum(goal["is_met"] for goal in found)
    return "\n".join(["sluice reaches %d of %d goals" % (n_met, len(found)),
                      *lines_of(rows)]) + "\n"
