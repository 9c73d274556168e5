"""Trains the classifier of injections: logistic regression on hashed words, pairs and triples, weights of eight bits.

    python collect.py SOURCES all.jsonl && python train.py all.jsonl ../data/injection.bin metrics.json

The features are those of `src/injection/classify.rs`, which a test holds to the scores in `samples.json`. A text is judged by windows;
a long text's score is that of its worst window. The threshold is chosen on a part of the training texts that is kept out of
training (validation), never on the held-out sources.
"""
import json, re, struct, sys, unicodedata
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

SEED = 20260701
BUCKETS = 1 << 16
WINDOW, STEP = 96, 48
MASK = (1 << 64) - 1
rng = np.random.default_rng(SEED)


def fnv(word):
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def mix(value):
    value = ((value ^ (value >> 32)) * 0x9E3779B97F4A7C15) & MASK
    return value ^ (value >> 29)


LETTERS = re.compile(r"[a-z0-9\u0080-\uffff']+")
cache = {}


def words(text):
    """Small letters, no accents that decompose, words of letters and digits."""
    text = "".join(letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter))
    text = re.sub(r"[\u2018\u2019]", "'", text)
    text = re.sub(r"[\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\u00a0-\u00bf\u2190-\u2bff\ud800-\udfff\U0001f000-\U0001ffff]", " ", text)
    return LETTERS.findall(text)


def hashes(tokens):
    result = []
    for token in tokens:
        value = cache.get(token)
        if value is None:
            value = cache[token] = fnv("0" if token.isdigit() else token[:24] if token.isascii() else token.encode()[:24].decode(errors="ignore"))
        result.append(value)
    return result


def features(window):
    found = set()
    one, two = 0, 0
    for value in window:
        found.add(mix(value) % BUCKETS)
        if one:
            found.add(mix((one * 3 + value) & MASK) % BUCKETS)
        if two:
            found.add(mix((two * 5 + one * 3 + value) & MASK) % BUCKETS)
        two, one = one, value
    return sorted(found)


def windows(text):
    values = hashes(words(text))
    if len(values) <= WINDOW:
        return [features(values)]
    return [features(values[start:start + WINDOW]) for start in range(0, len(values) - STEP, STEP)]


def matrix(lists):
    indptr = np.cumsum([0] + [len(row) for row in lists])
    indices = np.concatenate([np.array(row, dtype=np.int32) for row in lists]) if lists else np.zeros(0, np.int32)
    data = np.concatenate([np.full(len(row), 1 / np.sqrt(max(len(row), 12)), dtype=np.float32) for row in lists])
    return csr_matrix((data, indices, indptr), shape=(len(lists), BUCKETS))


def scores(rows, weights, bias):
    """The worst window of each text."""
    result = []
    for row in rows:
        result.append(max((sum(weights[f] for f in window) / np.sqrt(max(len(window), 12)) if window else 0) + bias for window in row["windows"]))
    return np.array(result)


if __name__ == "__main__":
    source, out, metrics_file = sys.argv[1:4]
    rows = [json.loads(line) for line in open(source)]
    for row in rows:
        row["windows"] = windows(row["text"])
    train = [row for row in rows if row["split"] == "train"]
    order = rng.permutation(len(train))
    valid = [train[i] for i in order[: len(train) // 7]]
    fit = [train[i] for i in order[len(train) // 7:]]
    # Of a text with an attempt somewhere only the window that looks worst is taken, in a second round; first all are.
    weights, bias = None, 0.0
    for turn in range(3):
        lists, labels, importance = [], [], []
        for row in fit:
            chosen = row["windows"]
            if row["label"] == 1 and len(chosen) > 1:
                if weights is None:
                    if row["source"] == "grammar/carried":
                        continue
                else:
                    ranked = sorted(chosen, key=lambda w: -(sum(weights[f] for f in w) / np.sqrt(max(len(w), 12))))
                    chosen = ranked[: max(1, len(ranked) // (8 if row["source"] == "grammar/carried" else 2))]
            elif row["label"] == 0 and len(chosen) > 12:
                if weights is None:
                    chosen = chosen[:12]
                else:
                    chosen = sorted(chosen, key=lambda w: -(sum(weights[f] for f in w) / np.sqrt(max(len(w), 12))))[:12]
            for window in chosen:
                lists.append(window)
                labels.append(row["label"])
                importance.append((1 if row["source"].startswith("grammar") else 2) / np.sqrt(len(chosen)))
        labels = np.array(labels)
        model = LogisticRegression(C=30.0, max_iter=300, class_weight="balanced", solver="liblinear", random_state=SEED)
        model.fit(matrix(lists), labels, sample_weight=np.array(importance))
        weights, bias = model.coef_[0], float(model.intercept_[0])
        print("turn", turn, len(lists), "windows", file=sys.stderr)
    # Eight bits, the scale beside them. What is near nothing is nothing: it packs better.
    limit = np.quantile(np.abs(weights[weights != 0]), 0.9995)
    scale = limit / 127
    small = np.clip(np.round(weights / scale), -127, 127).astype(np.int8)
    small[np.abs(small) < 3] = 0
    quantised = small.astype(np.float64) * scale
    s = scores(valid, quantised, bias)
    y = np.array([row["label"] for row in valid])
    # The least threshold that lets less than 0.4 % of the ordinary validation texts through.
    threshold = float(np.quantile(s[y == 0], 0.996))
    result = {"seed": SEED, "buckets": BUCKETS, "window": WINDOW, "step": STEP, "train": len(fit), "validation": len(valid), "threshold": threshold,
              "validation_tp": float((s[y == 1] >= threshold).mean()), "validation_fp": float((s[y == 0] >= threshold).mean()), "nonzero": int((small != 0).sum()), "held_out": {}}
    test = [row for row in rows if row["split"] == "test"]
    ts = scores(test, quantised, bias)
    groups = {}
    for row, score in zip(test, ts):
        groups.setdefault((row["label"], row["source"]), []).append(score >= threshold)
        groups.setdefault((row["label"], "all"), []).append(score >= threshold)
    for (label, name), hits in sorted(groups.items()):
        result["held_out"][f"{'attempts' if label else 'ordinary'}/{name}"] = {"texts": len(hits), "flagged": round(float(np.mean(hits)), 4)}
    with open(out, "wb") as file:
        file.write(struct.pack("<fff", scale, bias, threshold) + small.tobytes())
    json.dump(result, open(metrics_file, "w"), indent=1)
    print(json.dumps(result, indent=1))
    worst = sorted(zip(ts, test), key=lambda pair: -pair[0])
    if len(sys.argv) > 4:
        with open(sys.argv[4], "w") as file:
            for score, row in worst:
                if (row["label"] == 0) == (score >= threshold):
                    file.write(json.dumps([round(float(score), 2), row["label"], row["source"], row["text"][:600]]) + "\n")
