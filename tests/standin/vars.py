"""Session variables: the ones of Doris that drivers, tools and loaders touch (fact B5, A9)."""

from .errors import DorisError

B, I, F, S = "bool", "int", "float", "str"

TABLE = {
    "auto_increment_increment": (I, "1"), "autocommit": (B, "true"), "batch_size": (I, "4064"),
    "character_set_client": (S, "utf8mb4"), "character_set_connection": (S, "utf8mb4"),
    "character_set_database": (S, "utf8mb4"), "character_set_results": (S, "utf8mb4"),
    "character_set_server": (S, "utf8mb4"), "character_set_filesystem": (S, "binary"),
    "character_set_system": (S, "utf8"), "collation_connection": (S, "utf8mb4_0900_bin"),
    "collation_database": (S, "utf8mb4_0900_bin"), "collation_server": (S, "utf8mb4_0900_bin"),
    "default_storage_engine": (S, "olap"), "dry_run_query": (B, "false"), "div_precision_increment": (I, "4"),
    "enable_insert_strict": (B, "true"), "enable_nereids_dml": (B, "true"),
    "enable_nereids_planner": (B, "true"), "enable_profile": (B, "false"),
    "enable_server_side_prepared_statement": (B, "true"), "enable_sql_cache": (B, "false"),
    "enable_unicode_name_support": (B, "false"), "enable_unique_key_partial_update": (B, "false"),
    "enable_fallback_to_original_planner": (B, "true"), "exec_mem_limit": (I, "2147483648"),
    "group_commit": (S, "off_mode"), "have_query_cache": (S, "NO"), "init_connect": (S, ""),
    "insert_max_filter_ratio": (F, "1.0"), "insert_timeout": (I, "14400"),
    "insert_visible_timeout_ms": (I, "60000"), "interactive_timeout": (I, "3600"),
    "language": (S, "/mysql/share/"), "license": (S, "Apache License, Version 2.0"),
    "lower_case_table_names": (I, "0"), "max_allowed_packet": (I, "16777216"),
    "max_execution_time": (I, "900000"), "max_prepared_stmt_count": (I, "100000"),
    "net_buffer_length": (I, "16384"), "net_read_timeout": (I, "600"),
    "net_write_timeout": (I, "600"), "parallel_fragment_exec_instance_num": (I, "1"),
    "parallel_pipeline_task_num": (I, "0"), "performance_schema": (S, "OFF"),
    "query_cache_size": (I, "1048576"), "query_cache_type": (I, "0"), "query_timeout": (I, "900"),
    "session_context": (S, ""), "sql_auto_is_null": (B, "false"), "sql_converter_service_url": (S, ""),
    "sql_dialect": (S, "doris"), "sql_mode": (S, "ONLY_FULL_GROUP_BY"), "sql_quote_show_create": (B, "true"),
    "sql_safe_updates": (I, "0"), "sql_select_limit": (I, "9223372036854775807"),
    "storage_engine": (S, "olap"), "strict_mode": (B, "false"), "system_time_zone": (S, "Etc/UTC"),
    "time_zone": (S, "Etc/UTC"), "transaction_isolation": (S, "REPEATABLE-READ"),
    "transaction_read_only": (B, "false"), "tx_isolation": (S, "REPEATABLE-READ"),
    "tx_read_only": (B, "false"), "version": (S, "5.7.99"), "version_comment": (S, ""),
    "wait_timeout": (I, "28800"), "workload_group": (S, ""), "resource_group": (S, ""),
    "enable_strict_consistency_dml": (B, "true"), "enable_strong_consistency_read": (B, "false"),
    "skip_bad_tablet": (B, "false"), "skip_missing_version": (B, "false"),
    "send_batch_parallelism": (I, "1"),
}
READ_ONLY = {"version", "version_comment", "license", "language", "system_time_zone",
             "lower_case_table_names", "performance_schema", "default_storage_engine"}
SINCE = {
    "insert_max_filter_ratio": (2, 1), "group_commit": (2, 1), "enable_strict_cast": (4, 0),
    "enable_insert_value_auto_cast": (4, 0), "insert_visible_timeout_return_mode": (4, 1),
    "max_initial_file_split_size": (4, 0),
}
LATER = {"enable_strict_cast": (B, "false"), "enable_insert_value_auto_cast": (B, "true"),
         "insert_visible_timeout_return_mode": (S, "committed"),
         "max_initial_file_split_size": (I, "33554432")}
SQL_MODES = {"STRICT_TRANS_TABLES", "ONLY_FULL_GROUP_BY", "PIPES_AS_CONCAT", "ANSI_QUOTES", "NO_ENGINE_SUBSTITUTION",
             "NO_AUTO_VALUE_ON_ZERO", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ANSI",
             "TRADITIONAL", "NO_AUTO_CREATE_USER", "STRICT_ALL_TABLES", "NO_BACKSLASH_ESCAPES", "DEFAULT",
             "IGNORE_SPACE", "HIGH_NOT_PRECEDENCE", "PAD_CHAR_TO_FULL_LENGTH", "ALLOW_INVALID_DATES",
             "TIME_TRUNCATE_FRACTIONAL", "NO_DIR_IN_CREATE", "REAL_AS_FLOAT", "NO_UNSIGNED_SUBTRACTION"}


def known(profile):
    out = {**TABLE, **LATER}
    for name, since in SINCE.items():
        if profile.number < since:
            del out[name]
    return out


class Variables:
    """One session's view over the global values of this FE."""

    def __init__(self, profile, shared):
        self.kinds = known(profile)
        self.defaults = {k: v for k, (_, v) in self.kinds.items()}
        self.defaults["version_comment"] = profile.version_comment
        if profile.number < (2, 1):
            self.defaults.update(max_allowed_packet="1048576", enable_nereids_dml="false",
                                 enable_server_side_prepared_statement="false")
        self.shared = shared
        self.values = {}

    def get(self, name):
        name = name.lower()
        if name not in self.kinds:
            raise DorisError("Unknown system variable '%s'" % name, 1193)
        return self.values.get(name, self.shared.get(name, self.defaults[name]))

    def int(self, name):
        return int(self.get(name))

    def true(self, name):
        return self.get(name) == "true"

    def set(self, name, value, is_global=False):
        name = name.lower()
        if name not in self.kinds:
            raise DorisError("Unknown system variable '%s'" % name, 1193)
        if name in READ_ONLY and not (name == "version" and is_global):
            raise DorisError("Variable '%s' is a read only variable" % name, 1238)
        if value is None:
            value = self.defaults[name]
        value = self._convert(name, self.kinds[name][0], value)
        if is_global:
            self.shared[name] = value
        self.values[name] = value

    def _convert(self, name, kind, value):
        value = str(value)
        if kind == B:
            low = value.lower()
            if low in ("1", "on", "true"):
                return "true"
            if low in ("0", "off", "false"):
                return "false"
            raise DorisError("Variable '%s' can't be set to the value of '%s'" % (name, value), 1231)
        if kind in (I, F):
            try:
                (int if kind == I else float)(value)
            except ValueError:
                raise DorisError("Incorrect argument type to variable '%s'" % name, 1232) from None
            if name in ("insert_timeout", "query_timeout") and int(value) <= 0:
                raise DorisError("Variable '%s' can't be set to the value of '%s'" % (name, value), 1231)
        elif name == "sql_mode" and not value.isdigit():
            for mode in filter(None, value.upper().replace(" ", "").split(",")):
                if mode not in SQL_MODES:
                    raise DorisError("Variable 'sql_mode' can't be set to the value of '%s'" % value, 1231)
        elif name == "group_commit" and value.lower() not in ("off_mode", "sync_mode", "async_mode"):
            raise DorisError("Variable 'group_commit' can't be set to the value of '%s'" % value, 1231)
        return value

    def rows(self, match):
        for name in sorted(self.kinds):
            if match(name):
                now, base = self.get(name), self.defaults[name]
                yield name, now, base, "1" if now != base else "0"
