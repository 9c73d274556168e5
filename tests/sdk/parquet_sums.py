"""Reads Parquet files of the archive with DuckDB, which knows nothing of the gateway.

Argument: the folder that they are in.
"""

import json
import sys

import duckdb

folder = sys.argv[1]
db = duckdb.connect()
for kind in ("requests", "attempts", "scores"):
    db.execute(f"create view {kind} as select * from read_parquet('{folder}/{kind}/*/*.parquet')")
sums = """
    select count(*), sum(cost), sum(usage_input), count(*) filter (json_contains(tags, '"night"')),
        typeof(any_value(cost)), typeof(any_value("at"))
    from requests
"""
requests, cost, read, tags, money, moment = db.execute(sums).fetchone()
assert (money, moment) == ("DECIMAL(18,9)", "TIMESTAMP WITH TIME ZONE"), (money, moment)
utc = "strftime(\"at\" at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%f')"
query = db.execute(f'select * replace ({utc} as "at") from requests')
names = [column[0] for column in query.description]
rows = query.fetchall()
print(json.dumps({
    "requests": requests,
    "cost": str(cost),
    "input": int(read),
    "tags": tags,
    "attempts": db.execute("select count(*) from attempts").fetchone()[0],
    "score": db.execute("select value from scores").fetchone()[0],
    "rows": {row[names.index("id")]: dict(zip(names, row)) for row in rows},
}, default=str))
