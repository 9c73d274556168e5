"""A real Presidio analyzer on a free loopback port, with the recognisers that need no model: its routes and answers are those of
Presidio's own server, which is not on PyPI. Prints its port."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class Blank(SpacyNlpEngine):
    """Words alone: no model is there."""

    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


# The list of suffixes that it comes with: it would ask the internet for another.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
ENGINE = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/analyze":
            return self.send_error(404)
        found = ENGINE.analyze(
            text=asked["text"],
            language=asked["language"],
            entities=asked.get("entities"),
            score_threshold=asked.get("score_threshold"),
        )
        body = json.dumps([one.to_dict() for one in found]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
