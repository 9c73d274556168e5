"""What the clients share."""

import base64


def describe(error):
    """An exception as the scenarios read it: its class is part of what a vendor's SDK promises."""
    response = getattr(error, "response", None)
    # boto3 keeps a plain dictionary there.
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    headers = metadata.get("HTTPHeaders") or getattr(response, "headers", None) or {}
    named = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return {
        "class": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None) or metadata.get("HTTPStatusCode"),
        "code": getattr(error, "code", None) or named,
        "type": getattr(error, "type", None),
        "body": plain(getattr(error, "body", None) or getattr(error, "details", None)),
        "headers": {str(name): str(value) for name, value in dict(headers).items()},
    }


def plain(value):
    """Anything as JSON: models by their own dump, bytes as base64."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)


def with_bytes(value):
    """The opposite of `plain`, for bytes in arguments."""
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: with_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    return value


async def gather(stream, headers=None):
    """A stream's events, and the exception that ended it, if one did."""
    events = []
    answer = {"events": events, "headers": headers or {}}
    try:
        async for event in stream:
            events.append(plain(event))
    except Exception as error:
        answer["error"] = describe(error)
    return answer
