"""`google-auth`: judges the claim that buys a token as its vendor's own library reads it. No call is made.

`arguments` is {"assertion", "private_key", "audience"}; the result is the claim's head and what it says. It throws where
the signature, the time or the audience is wrong.
"""

from cryptography.hazmat.primitives import serialization
from google.auth import jwt


async def perform(request):
    asked = request["arguments"]
    key = serialization.load_pem_private_key(asked["private_key"].encode(), password=None).public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(asked["assertion"], certs=public, audience=asked["audience"], clock_skew_in_seconds=60)
    return {"result": {"head": jwt.decode_header(asked["assertion"]), "claims": dict(claims)}}
