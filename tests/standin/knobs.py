"""The fault knobs: typed, settable at the start and while running. README.md has the table."""

import threading


class Knobs:
    """Counters apply to the next N labelled INSERTs and count down; flags and texts stay."""

    COUNTS = ("cut_before_commit cut_after_commit cut_running visible_timeout_as_error aborted_in_ok "
              "err_after_commit die_before_commit die_after_commit hold_precommitted").split()
    IN_TXN = ("cut_in_txn", "txn_not_found")  # of a transaction with a label: an INSERT in it, COMMIT
    FLAGS = ("refuse_connections not_ready not_master no_show_transaction coded_prefix "
             "echo_sql ignore_timeouts").split()
    INTS = ("publish_delay_ms slow_ms label_keep_s label_num label_clean_ms max_conn "
            "max_user_connections fail_insert_count proxy_wait_ms commit_ms "
            "max_running_txn connection_id").split()
    TEXTS = ("orphan fail_insert err_after_commit_text empty_insert bad_cast csv_strip_cr "
             "prepare_2_0 select_denied proxy_protocol").split()
    CHOICES = {"orphan": ("PREPARE", "ABORTED"), "empty_insert": ("no_info", "txn"),
               "bad_cast": ("filter", "null", "error"), "csv_strip_cr": ("auto", "0", "1"),
               "prepare_2_0": ("insert_only", "any"), "select_denied": ("auto", "1142", "1105"),
               "proxy_protocol": ("off", "mandatory", "optional")}

    def __init__(self, profile):
        self.lock = threading.Lock()
        self.values = {name: 0 for name in (*self.COUNTS, *self.IN_TXN)}
        self.values.update({name: False for name in self.FLAGS})
        self.values.update(
            coded_prefix=True, publish_delay_ms=0, slow_ms=0, label_keep_s=profile.label_keep_s,
            label_num=2000, label_clean_ms=30000, max_conn=1024, max_user_connections=100,
            orphan="PREPARE", fail_insert="", fail_insert_count=-1,
            err_after_commit_text="rpc failed, io.grpc.StatusRuntimeException: UNAVAILABLE: "
                                  "Network closed for unknown reason",
            empty_insert="no_info" if profile.empty_no_info else "txn",
            bad_cast="filter", csv_strip_cr="auto", prepare_2_0="insert_only",
            select_denied="auto", proxy_protocol="off", proxy_wait_ms=10, commit_ms=0,
            max_running_txn=0, connection_id=0)

    def __getattr__(self, name):
        values = self.__dict__.get("values", {})
        if name in values:
            return values[name]
        raise AttributeError(name)

    def set(self, name, value):
        """Raises ValueError with what is wrong and what would be right."""
        if name not in self.values:
            raise ValueError("unknown knob %r; there are: %s" % (name, ", ".join(sorted(self.values))))
        value = self._convert(name, value)
        with self.lock:
            self.values[name] = value

    def _convert(self, name, value):
        if name in self.FLAGS:
            text = str(value).lower()
            if text not in ("0", "1", "true", "false"):
                raise ValueError("knob %s is a flag, 0 or 1, not %r" % (name, value))
            return text in ("1", "true")
        if name in self.TEXTS:
            if name in self.CHOICES and value not in self.CHOICES[name]:
                raise ValueError("knob %s is one of %s, not %r"
                                 % (name, ", ".join(self.CHOICES[name]), value))
            return str(value)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError("knob %s is an integer, not %r" % (name, value)) from None

    def take(self):
        """What hits the labelled INSERT that is starting now; counts down."""
        return {**self.take_counts(), **self.take_failure()}

    def take_counts(self):
        """Also what hits the COMMIT of a transaction with a label."""
        return self._take(self.COUNTS)

    def take_one(self, name):
        return bool(self._take((name,)))

    def _take(self, names):
        hit = {}
        with self.lock:
            for name in names:
                if self.values[name] > 0:
                    self.values[name] -= 1
                    hit[name] = True
        return hit

    def take_failure(self):
        """Also what hits an INSERT in a transaction with a label."""
        with self.lock:
            if not self.values["fail_insert"] or self.values["fail_insert_count"] == 0:
                return {}
            if self.values["fail_insert_count"] > 0:
                self.values["fail_insert_count"] -= 1
            return {"fail_insert": self.values["fail_insert"]}

    def snapshot(self):
        with self.lock:
            return dict(self.values)
