-- The table that a sink of the kind `clickhouse` fills. A request that was told twice is there once after a merge, and in
-- every query with FINAL.
CREATE TABLE IF NOT EXISTS gatelet_records (
  at DateTime64(6, 'UTC'), id String, trace_id FixedString(32),
  org LowCardinality(String), team LowCardinality(String), project LowCardinality(String), user String, key String,
  customer String, session String, tags Array(LowCardinality(String)),
  operation LowCardinality(String), dialect LowCardinality(String), model LowCardinality(String),
  provider LowCardinality(String), served LowCardinality(String),
  stream Bool, outcome LowCardinality(String), status UInt16, fault LowCardinality(String),
  finish LowCardinality(String), attempts UInt16,
  input UInt64, cache_read UInt64, cache_write UInt64, output UInt64, reasoning UInt64,
  cost Decimal(18, 9),
  total_ms Float64, first_content_ms Nullable(Float64), queue_ms Float64, upstream_ms Float64, overhead_ms Float64,
  record String CODEC(ZSTD), calls String CODEC(ZSTD), content String CODEC(ZSTD)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (org, team, at, id);
