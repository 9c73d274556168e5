"""Sums the archive with DuckDB, which knows nothing of the gateway: requests of one key, each counted once however often it is there.

Arguments: the folder of the archive, and the key's id.
"""

import json
import sys

import duckdb

folder, key = sys.argv[1:]
query = """
    with lines as (
        select * from read_json(?, format = 'newline_delimited', union_by_name = true, columns = {
            kind: 'varchar', id: 'varchar', key: 'varchar', cost: 'decimal(38, 9)', status: 'integer',
            usage: 'struct(input bigint, output bigint)'
        })
    ), requests as (
        select distinct id, cost, status, usage from lines where kind = 'request' and key = ?
    )
    select count(*), count(distinct id), sum(cost), sum(usage.input), sum(usage.output) from requests
"""
files = f"{folder}/v1/*/*/*.ndjson.gz"
rows, ids, cost, read, made = duckdb.execute(query, [files, key]).fetchone()
print(json.dumps({"rows": rows, "ids": ids, "cost": format(cost, "f"), "input": int(read), "output": int(made)}))
