"""Texts out of trees and documents, for those who train and those who measure."""

import random
import re


def strings(node):
    """All strings of a tree of JSON."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def paragraphs(text, least=120, most=4000):
    """Pieces of a document, of many lengths."""
    piece = ""
    limit = random.choice([300, 800, 2000, 4000])
    for block in re.split(r"\n\s*\n", text):
        piece += block + "\n\n"
        if len(piece) >= limit:
            yield piece[:most]
            piece, limit = "", random.choice([300, 800, 2000, 4000])
    if len(piece) > least:
        yield piece[:most]
