/*
 * Is a load refused for what is in its files (then one file of them is to be set aside), or for
 * anything else (then trying again helps, or somebody has to)? Only the text tells. What is not known
 * to be the files' fault is not: an outage taken for a bad file would put good files aside.
 *
 * The texts are those of Doris's own sources, 2.0 to master: FailureReason.java, OlapInsertExecutor,
 * be/src/exec/decompressor.cpp, be/src/vec/exec/format (csv_reader, new_json_reader, vparquet_reader,
 * parquet_thrift_util, vorc_reader), be/src/io/fs/err_utils.cpp. Pure; any thread.
 */
#ifndef SOURCES_FE_DATA_H
#define SOURCES_FE_DATA_H

#include <stdbool.h>

#include "base/span.h"

/* `spoken` is the part of the text in which Doris speaks, before it quotes a row or an address. */
bool fe_data_is_at_fault(struct span text, struct span spoken);

#endif
