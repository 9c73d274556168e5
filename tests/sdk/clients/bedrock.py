"""`boto3`, bedrock-runtime. The key is `id:secret`, which signs, or a bearer token.

Bytes in arguments are {"base64": "…"}. boto3 blocks, so each call has a thread.
"""

import asyncio

import boto3
from botocore.config import Config
from botocore.tokens import FrozenAuthToken

from clients import describe, plain, with_bytes


async def perform(request):
    return await asyncio.to_thread(call, request)


def call(request):
    client = connect(request["base_url"], request["api_key"])
    found = getattr(client, request["method"])(**with_bytes(request["arguments"]))
    headers = found.pop("ResponseMetadata")["HTTPHeaders"]
    if "stream" in found:
        events = []
        try:
            for event in found["stream"]:
                events.append(plain(event))
        except Exception as error:
            return {"events": events, "headers": headers, "error": describe(error)}
        return {"events": events, "headers": headers}
    if hasattr(found.get("body"), "read"):
        found["body"] = found["body"].read()
    return {"result": plain(found), "headers": headers}


def connect(base_url, api_key):
    config = Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=1)
    arguments = {"endpoint_url": base_url, "region_name": "us-east-1", "config": config}
    if ":" in api_key:
        identity, secret = api_key.split(":", 1)
        session = boto3.Session(aws_access_key_id=identity, aws_secret_access_key=secret)
        return session.client("bedrock-runtime", **arguments)
    # The client takes bearer tokens from the environment alone, which all calls of this process share: so it is told of
    # this one by the same door. That there is a token it asks the environment again with each call, unless it was told.
    session = boto3.Session()
    session._session.register_component("token_provider", Shown(api_key))
    arguments["config"] = config.merge(Config(auth_scheme_preference="httpBearerAuth"))
    return session.client("bedrock-runtime", **arguments)


class Shown:
    """What the client asks for a token."""

    def __init__(self, token):
        self.token = FrozenAuthToken(token)

    def load_token(self, **_):
        return self.token
