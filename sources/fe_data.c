#include <stddef.h>

#include "base/xmalloc.h"
#include "sources/fe_data.h"

/* Both, in any order; `also` NULL: one is enough. */
struct mark {
    const char *text;
    const char *also;
};

/* Rows were refused. Doris looks for the first four in all of the text, with regard to case. */
static const struct mark rows[] = {
    {"Insert has filtered data in strict mode", NULL},
    {"too many filtered", NULL},
    {"Encountered unqualified data", NULL},
    {"parse number fail", NULL},
    {"[DATA_QUALITY_ERROR]", NULL},
};

/* A file cannot be read as what it should be, unless the text says that it could not be read at all. */
static const struct mark files[] = {
    /* CSV */
    {"Only support csv data in utf8 codec", NULL},
    {"actual column number in csv file is", NULL},
    /* JSON */
    {"Parse json data for JsonDoc failed", NULL},
    {"JSON Root not found", NULL},
    {"JSON data is array-object, `strip_outer_array` must be TRUE", NULL},
    {"JSON data is not an array-object, `strip_outer_array` must be FALSE", NULL},
    /* Parquet */
    {"Invalid magic number in parquet file", NULL},
    {"Parquet footer size(", "is large than file size("},
    {"Failed to deserialize parquet page header", NULL},
    {"Read parquet file ", "[CORRUPTION]"},
    {"The column type of '", "' is not supported: "},
    /* ORC */
    {"Init OrcReader failed. reason = ", NULL},
    {"Failed to create orc row reader. reason = ", NULL},
    {"Orc row reader nextBatch failed. reason = ", NULL},
    /* Compression */
    {"Failed to inflate", NULL},
    {"Failed to bz2 decompress", NULL},
    {"Failed to zstd decompress", NULL},
    {"LZ4F_getFrameInfo error: ", NULL},
    {"Decompression error: ", NULL},
    {"Lz4 header size is between 7 and 15 bytes", NULL},
    {"fail to do LZ4 decompress", NULL},
    {"fail to do hadoop-lz4 decompress", NULL},
    {"fail to do hadoop-snappy decompress", NULL},
    {"snappy block decompress failed", NULL},
    {"Compressed file has been truncated", NULL},
};

/* The readers put these behind their own words: the file was not there, or not to be had. */
static const struct mark outages[] = {
    /* The object store */
    {"NoSuchKey", NULL},
    {"NoSuchBucket", NULL},
    {"No such file or directory", NULL},
    {"AccessDenied", NULL},
    {"Access Denied", NULL},
    {"InvalidAccessKeyId", NULL},
    {"SignatureDoesNotMatch", NULL},
    {"ExpiredToken", NULL},
    {"RequestTimeTooSkewed", NULL},
    {"SlowDown", NULL},
    {"reduce your request rate", NULL},
    {"ServiceUnavailable", NULL},
    {"InternalError", NULL},
    {"request_id=", NULL},
    {"HTTP response code", NULL},
    {"curlCode", NULL},
    {"failed to read from", NULL},
    {"Failed to read ", NULL},
    /* Status codes of a BE */
    {"[NOT_FOUND]", NULL},
    {"[IO_ERROR]", NULL},
    {"[PERMISSION_DENIED]", NULL},
    {"[NOT_AUTHORIZED]", NULL},
    {"[NETWORK_ERROR]", NULL},
    {"[THRIFT_RPC_ERROR]", NULL},
    {"[RPC_ERROR]", NULL},
    {"[TIMEOUT]", NULL},
    {"[MEM_LIMIT_EXCEEDED]", NULL},
    {"[MEM_ALLOC_FAILED]", NULL},
    {"[DISK_REACH_CAPACITY_LIMIT]", NULL},
    {"[SERVICE_UNAVAILABLE]", NULL},
    /* The machines */
    {"Timeout was reached", NULL},
    {"Connection refused", NULL},
    {"Connection reset", NULL},
    {"Couldn't connect", NULL},
    {"Couldn't resolve host", NULL},
    {"/usr/share/zoneinfo/", NULL},
    {"std::bad_alloc", NULL},
};

static bool holds(struct span in, const char *text)
{
    return in.n > 0 && memmem(in.p, in.n, text, strlen(text)) != NULL;
}

static bool has_any(struct span in, const struct mark *marks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (holds(in, marks[i].text) && (marks[i].also == NULL || holds(in, marks[i].also))) {
            return true;
        }
    }
    return false;
}

bool fe_data_is_at_fault(struct span text, struct span spoken)
{
    return has_any(text, rows, ARRAY_SIZE(rows)) ||
           (has_any(spoken, files, ARRAY_SIZE(files)) &&
            !has_any(spoken, outages, ARRAY_SIZE(outages)));
}
