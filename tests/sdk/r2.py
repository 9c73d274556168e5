"""Prints the objects of workerd's local R2 buckets under a state folder, as JSON: [[name, base64], ...]."""

import base64
import json
import pathlib
import sqlite3
import sys

objects = []
for database in pathlib.Path(sys.argv[1]).glob("v3/r2/miniflare-R2BucketObject/*.sqlite"):
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute("SELECT key, blob_id FROM _mf_objects").fetchall()
    except sqlite3.OperationalError:
        rows = []
    for key, blob in rows:
        for path in pathlib.Path(sys.argv[1]).glob(f"v3/r2/*/blobs/{blob}"):
            objects.append([key, base64.b64encode(path.read_bytes()).decode()])
print(json.dumps(objects))
