#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/fe_error.h"

#define CODE "errCode = 2, detailMessage = "
#define BE   CODE "(10.0.0.7)"

static bool is_data(const char *text)
{
    return fe_error_read(span_of(text), "17_3").is_data_error;
}

static void the_files_are_at_fault(void **state)
{
    static const char *const texts[] = {
        /* rows */
        "Insert has filtered data in strict mode, tracking_url=http://be:8040/x",
        CODE "Insert has filtered data in strict mode. url: http://be:8040/x",
        CODE "Insert has too many filtered data 3/10 insert_max_filter_ratio is 0.100000",
        BE "[DATA_QUALITY_ERROR]Encountered unqualified data, stop processing. url: http://be/x",
        BE "[END_OF_FILE]Encountered unqualified data, stop processing",
        BE "[CANCELLED]cancelled: [DATA_QUALITY_ERROR]JSON Root not found.",
        BE "[INVALID_ARGUMENT]parse number fail, string: 'abc'",
        CODE "Insert has filtered data in strict mode. first_error_msg: [IO_ERROR]NoSuchKey",
        /* CSV, JSON */
        BE "[INTERNAL_ERROR]Only support csv data in utf8 codec",
        BE "[INTERNAL_ERROR]actual column number in csv file is  less than  schema column number.",
        BE "[DATA_QUALITY_ERROR]Parse json data for JsonDoc failed. code: 14, error info: A string "
           "is opened, but never closed.",
        BE
        "[INTERNAL_ERROR]Parse json data for JsonDoc failed. code = 3, error-info:Invalid value.",
        BE "[INTERNAL_ERROR]JSON Root not found.",
        BE "[INTERNAL_ERROR]JSON data is array-object, `strip_outer_array` must be TRUE.",
        BE "[INTERNAL_ERROR]JSON data is not an array-object, `strip_outer_array` must be FALSE.",
        /* Parquet, ORC */
        BE "[CORRUPTION]Invalid magic number in parquet file, bytes read: 131072, file size: "
           "3795236, path: s3://b/timeout/a.parquet, read magic: abcd",
        BE "[CORRUPTION]Parquet footer size(99) is large than file size(12)",
        BE "[INTERNAL_ERROR]Failed to deserialize parquet page header",
        BE "[INTERNAL_ERROR]Read parquet file s3://b/a.parquet failed, reason = [CORRUPTION]Out of "
           "bounds",
        BE
        "[INTERNAL_ERROR]Read parquet file s3://b/a.parquet failed, reason = [INTERNAL_ERROR]The "
        "column type of 'v' is not supported: no, is_dict_filter: false",
        BE "[INTERNAL_ERROR]Init OrcReader failed. reason = Failed to parse the footer from a.orc",
        BE "[INTERNAL_ERROR]Init OrcReader failed. reason = Footer is corrupt: STRUCT type 0 has 3 "
           "subTypes, but has 2 fieldNames",
        BE "[INTERNAL_ERROR]Init OrcReader failed. reason = Read past EOF in "
           "DecompressionStream::readBuffer",
        BE "[INTERNAL_ERROR]Failed to create orc row reader. reason = bad type",
        BE "[INTERNAL_ERROR]Orc row reader nextBatch failed. reason = DICTIONARY_DATA stream not "
           "found in StringDictionaryColumn",
        /* compression */
        BE "[INTERNAL_ERROR]Failed to inflate. return code: -3",
        BE "[INTERNAL_ERROR]Failed to inflateReset. return code: -2",
        BE "[INTERNAL_ERROR]Failed to bz2 decompress. status code: -4",
        BE "[INTERNAL_ERROR]Failed to zstd decompress: Unknown frame descriptor",
        BE "[INTERNAL_ERROR]LZ4F_getFrameInfo error: ERROR_frameType_unknown",
        BE "[INTERNAL_ERROR]Decompression error: ERROR_headerChecksum_invalid",
        BE "[INTERNAL_ERROR]Lz4 header size is between 7 and 15 bytes. but input size is only: 3",
        BE "[INVALID_ARGUMENT]fail to do LZ4 decompress, error = ERROR_GENERIC",
        BE "[INVALID_ARGUMENT]fail to do hadoop-lz4 decompress, input_len=3",
        BE "[INVALID_ARGUMENT]fail to do hadoop-snappy decompress, input_len=3",
        BE "[INTERNAL_ERROR]snappy block decompress failed to get uncompressed len",
        BE "[INTERNAL_ERROR]snappy block decompress failed. uncompressed_len: 1, compressed_len: 2",
        BE "[INTERNAL_ERROR]Compressed file has been truncated, which is not allowed",
        CODE "fetchTableStructure failed: Invalid magic number in parquet file, bytes read: 12",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (!is_data(texts[i])) {
            fail_msg("not taken for the files' fault: %s", texts[i]);
        }
    }
}

static void all_else_is_not(void **state)
{
    static const char *const texts[] = {
        "",
        "a text that nobody knows",
        "insert has filtered data in strict mode", /* Doris compares with regard to case */
        /* time and limits */
        CODE "insert timeout",
        CODE "Execute timeout",
        CODE "query is timeout, killed by timeout checker",
        BE "[MEM_LIMIT_EXCEEDED]PreCatch error code:11, [E11] Allocator mem tracker check failed",
        BE "[MEM_ALLOC_FAILED]std::bad_alloc",
        BE "[E-235]failed to init rowset builder. version count: 2001, exceed limit: 2000",
        CODE "tablet writer write failed, tablet_id=1, txn_id=2, err=-235",
        CODE "current running txns on db 10004 is 100, larger than limit 100",
        CODE "too many aborted txn for label=17_3 txn_id=12, please check your data quality",
        CODE "get tableList write lock timeout, tableList=(d.t)",
        BE "[INTERNAL_ERROR]cancelled: Source frontend is not running or restarted",
        /* machines and links */
        CODE "there exists unhealthy backend. 10.0.0.7:8060",
        CODE "No backend available as scan node, please check the status of your backends.",
        CODE "failed to send brpc when exchange, error=Host is down",
        BE "[THRIFT_RPC_ERROR]Couldn't open transport for 10.0.0.7:9060",
        CODE "Node catalog is not ready, please wait for a while.",
        /* rights and tables */
        "LOAD command denied to user 'u'@'ip' for table 'd.t'",
        CODE "Table [t] does not exist in database [d].",
        CODE "Unknown table 't'",
        CODE "Unknown column 'v' in 'table list' in PROJECT clause",
        CODE "insert into cols should be corresponding to the query output",
        /* the object store */
        BE
        "[NOT_FOUND]failed to read from s3://b/a.csv: NoSuchKey The specified key does not exist. "
        "type=16, request_id=1",
        BE "[PERMISSION_DENIED]failed to read from s3://b/a.csv: AccessDenied",
        BE "[INTERNAL_ERROR]failed to read from s3://b/a.csv: SlowDown Please reduce your request "
           "rate. code=503, request_id=1",
        CODE "Failed to list s3 files: The AWS Access Key Id you provided does not exist",
        CODE "S3 list path failed. path=s3://b/a, msg=errors while get file status listStatus",
        BE "[INTERNAL_ERROR]Init OrcReader failed. reason = Failed to read s3://b/a.orc: "
           "[IO_ERROR]timeout",
        BE "[INTERNAL_ERROR]Orc row reader nextBatch failed. reason = Failed to read s3://b/a.orc: "
           "[INTERNAL_ERROR]failed to read from s3://b/a.orc: SlowDown",
        BE "[INTERNAL_ERROR]Orc row reader nextBatch failed. reason = Can't open "
           "/usr/share/zoneinfo/+08:00",
        BE "[INTERNAL_ERROR]Read parquet file s3://b/a.parquet failed, reason = "
           "[IO_ERROR]curlCode: 28, Timeout was reached",
        BE "[CORRUPTION]checksum mismatch of segment 3 of tablet 10023",
        BE "[INTERNAL_ERROR]Failed to init inflate. status code: -4",
        /* what a row holds is quoted, not said */
        CODE "no such thing. first_error_msg: Failed to inflate. return code: -3",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (is_data(texts[i])) {
            fail_msg("taken for the files' fault: %s", texts[i]);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_are_at_fault),
        cmocka_unit_test(all_else_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
