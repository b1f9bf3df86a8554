"""What differs between the Doris versions: one table, named after the facts it comes from."""

from dataclasses import dataclass, field

from . import protocol as p

CAPS = (p.CLIENT_PROTOCOL_41 | p.CLIENT_CONNECT_WITH_DB | p.CLIENT_SECURE_CONNECTION
        | p.CLIENT_PLUGIN_AUTH | p.CLIENT_LOCAL_FILES | p.CLIENT_LONG_FLAG)

COMMON_COMMANDS = {"COM_QUIT", "COM_INIT_DB", "COM_QUERY", "COM_FIELD_LIST", "COM_PING",
                   "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_CLOSE", "COM_STMT_RESET"}
LATER_COMMANDS = COMMON_COMMANDS | {"COM_STATISTICS", "COM_DEBUG", "COM_SET_OPTION",
                                    "COM_CHANGE_USER", "COM_RESET_CONNECTION"}

JOBS_21 = ("Id Name Definer ExecuteType RecurringStrategy Status ExecuteSql CreateTime "
           "SucceedTaskCount FailedTaskCount CanceledTaskCount Comment").split()
JOBS_40 = JOBS_21 + "Properties CurrentOffset EndOffset LoadStatistic ErrorMsg JobRuntimeMsg".split()
JOBS_41 = JOBS_40 + "Lag LastTaskSuccessTime".split()
TASKS_21 = ("TaskId JobId JobName Label Status ErrorMsg CreateTime StartTime FinishTime TrackingUrl "
            "LoadStatistic User").split()
TASKS_40 = TASKS_21 + ["FirstErrorMsg", "RunningOffset"]

GRANTS_20 = ("UserIdentity Password Roles GlobalPrivs CatalogPrivs DatabasePrivs TablePrivs ColPrivs "
             "ResourcePrivs WorkloadGroupPrivs").split()
GRANTS_30 = ("UserIdentity Comment Password Roles GlobalPrivs CatalogPrivs DatabasePrivs TablePrivs "
             "ColPrivs ResourcePrivs CloudClusterPrivs CloudStagePrivs StorageVaultPrivs "
             "WorkloadGroupPrivs ComputeGroupPrivs").split()
GRANTS_21 = ["UserIdentity", "Comment"] + GRANTS_20[1:]

FRONTENDS_20 = ("Name Host EditLogPort HttpPort QueryPort RpcPort Role IsMaster ClusterId Join Alive "
                "ReplayedJournalId LastHeartbeat IsHelper ErrMsg Version CurrentConnected").split()
FRONTENDS_21 = ("Name Host EditLogPort HttpPort QueryPort RpcPort ArrowFlightSqlPort Role IsMaster "
                "ClusterId Join Alive ReplayedJournalId LastStartTime LastHeartbeat IsHelper ErrMsg "
                "Version CurrentConnected").split()
BACKENDS_20 = ("BackendId Host HeartbeatPort BePort HttpPort BrpcPort LastStartTime LastHeartbeat Alive "
               "SystemDecommissioned TabletNum DataUsedCapacity TrashUsedCapcacity AvailCapacity "
               "TotalCapacity UsedPct MaxDiskUsedPct RemoteUsedCapacity Tag ErrMsg Version Status "
               "HeartbeatFailureCounter NodeRole").split()
BACKENDS_21 = BACKENDS_20[:6] + ["ArrowFlightSqlPort"] + BACKENDS_20[6:]
BACKENDS_30 = BACKENDS_21 + ["CpuCores", "Memory"]
BACKENDS_40 = BACKENDS_30 + ["LiveSince", "RunningTasks"]

TRANSACTION_COLUMNS = ("TransactionId Label Coordinator TransactionStatus LoadJobSourceType PrepareTime "
                       "PreCommitTime CommitTime PublishTime FinishTime Reason ErrorReplicasCount "
                       "ListenerId TimeoutMs ErrMsg").split()

S3_SCHEMES = {"http", "https", "s3", "s3a", "s3n", "bos", "oss", "cos", "cosn", "obs"}


@dataclass
class Profile:
    """One Doris version. Field comments name the section of the facts."""

    name: str
    number: tuple
    version_comment: str                      # A1
    commands: set = field(default_factory=lambda: set(LATER_COMMANDS))  # A6
    caps: int = CAPS                          # A1
    old_parser: bool = False                  # B1: INSERT goes through the cup grammar
    prepare_any: bool = True                  # A7: enable_server_side_prepared_statement
    prepare_columns: bool = True              # A7: PREPARE describes the result
    limit_text_long: bool = False             # A9: 1203 text
    label_text_status: bool = True            # B3
    begin_wrapped: bool = True                # B3
    empty_no_info: bool = True                # B2
    explain_checks_load: bool = False         # F
    max_filter_ratio: bool = True             # B5
    label_keep_s: int = 43200                 # C2
    jobs: list = field(default_factory=lambda: list(JOBS_21))    # G
    tasks: list = field(default_factory=lambda: list(TASKS_21))  # G
    streaming_jobs: bool = False              # G
    jobs_admin_only: bool = True              # streaming jobs 8: before #56965
    grants: list = field(default_factory=lambda: list(GRANTS_30))        # F3
    frontends: list = field(default_factory=lambda: list(FRONTENDS_21))  # H
    backends: list = field(default_factory=lambda: list(BACKENDS_30))    # H
    nodes_open: bool = False                  # F: SHOW FRONTENDS for everybody
    health_503: bool = False                  # H
    txn_insert: bool = True                   # G: INSERT SELECT inside BEGIN
    globs: str = "hadoop"                     # E4
    brace_rewrite: bool = False               # E4, 4.0.1
    bare_endpoint: bool = False               # E2
    json_line_default: bool = False           # E3
    strip_cr: bool = True                     # E3
    enclose: bool = True                      # E3
    strict_uri: bool = False                  # E4: java.net.URI on the raw text
    extra_schemes: bool = True                # E2: gs, azure
    db_denied_new: bool = False               # F: text of 1044
    table_denied_colons: bool = False         # F: text of 1142 for INSERT


PROFILES = {
    "2.0": Profile(
        "2.0", (2, 0), "Doris version doris-2.0.15-rc05-1ab9e1f0a1", commands=set(COMMON_COMMANDS),
        old_parser=True, prepare_any=False, prepare_columns=False, label_text_status=False,
        begin_wrapped=False, empty_no_info=False, explain_checks_load=True, max_filter_ratio=False,
        label_keep_s=21600, jobs=[], tasks=[], grants=list(GRANTS_20), frontends=list(FRONTENDS_20),
        backends=list(BACKENDS_20), txn_insert=False, globs="star", strip_cr=False, enclose=False,
        strict_uri=True, extra_schemes=False, table_denied_colons=True),
    "2.1": Profile(
        "2.1", (2, 1), "Doris version doris-2.1.7-rc03-443e87e203", prepare_columns=False,
        grants=list(GRANTS_21), backends=list(BACKENDS_21), txn_insert=False, strip_cr=False),
    "3.0": Profile("3.0", (3, 0), "Doris version doris-3.0.4-rc02-e95bd1ee3b"),
    "4.0": Profile(
        "4.0", (4, 0), "Doris version doris-4.0.1-rc02-791725594d", limit_text_long=True,
        jobs=list(JOBS_40), tasks=list(TASKS_40), streaming_jobs=True, jobs_admin_only=False,
        frontends=FRONTENDS_21 + ["LiveSince"], backends=list(BACKENDS_40), nodes_open=True,
        health_503=True, globs="nio", brace_rewrite=True, bare_endpoint=True,
        json_line_default=True, db_denied_new=True),
    "4.1": Profile(
        "4.1", (4, 1), "Doris version doris-4.1.0-rc01-5a2b0c9d77", limit_text_long=True,
        jobs=list(JOBS_41), tasks=list(TASKS_40), streaming_jobs=True, jobs_admin_only=False,
        frontends=FRONTENDS_21 + ["LiveSince"], backends=list(BACKENDS_40), nodes_open=True,
        health_503=True, globs="nio", brace_rewrite=True, bare_endpoint=True,
        json_line_default=True, db_denied_new=True),
}
