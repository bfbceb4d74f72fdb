"""What a score must beat: always saying the commonest label, and a plain classifier on the same features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from emollm.data.corpus import Item
from emollm.evaluation.metrics import METRICS, Pairs
from emollm.lazy import need
from emollm.values import Floats


def scores(pairs: Pairs) -> dict[str, float]:
    """All metrics of some pairs."""
    return {name: round(metric(pairs), 4) for name, metric in METRICS.items()}


def majority(train: Sequence[str], truth: Sequence[str]) -> dict[str, float]:
    """The commonest training label as the answer to everything."""
    top = Counter(train).most_common(1)[0][0]
    return scores([(t, top) for t in truth])


def probe(train: Sequence[tuple[Floats, str]], test: Sequence[tuple[Floats | None, str]]) -> dict[str, float]:
    """Logistic regression on feature vectors; an item without features gets the commonest label.

    The strength of regularisation is chosen on a fifth of the training part, never on the test part.
    """
    need("sklearn", extra="eval")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = np.stack([v for v, _ in train]), [label for _, label in train]
    scale = StandardScaler().fit(x)
    a, b, ya, yb = train_test_split(scale.transform(x), y, test_size=0.2, random_state=0)
    best = max((0.001, 0.01, 0.1, 1.0), key=lambda c: LogisticRegression(C=c, max_iter=300).fit(a, ya).score(b, yb))
    model = LogisticRegression(C=best, max_iter=300).fit(scale.transform(x), y)
    top = Counter(y).most_common(1)[0][0]
    return scores([(label, top if v is None else str(model.predict(scale.transform(v[None]))[0])) for v, label in test])


def text_probe(train: Sequence[Item], test: Sequence[Item]) -> dict[str, float]:
    """Logistic regression on words and word pairs."""
    need("sklearn", extra="eval")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model: Any = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10, max_iter=400))
    model.fit([i.text for i in train], [i.label for i in train])
    return scores(list(zip([i.label or "" for i in test], map(str, model.predict([i.text for i in test])), strict=True)))


def text_sets(train: Sequence[tuple[str, Sequence[str]]], texts: Sequence[str], labels: Sequence[str]) -> list[list[str]]:
    """Label sets of texts, by one logistic regression a label on words and word pairs; always at least the likeliest label."""
    need("sklearn", extra="eval")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    known, asked = words.fit_transform([t for t, _ in train]), words.transform(texts)
    chances = np.zeros((len(texts), len(labels)))
    for k, label in enumerate(labels):
        truth = [label in names for _, names in train]
        if any(truth) and not all(truth):  # balanced, or rare labels are never said
            chances[:, k] = LogisticRegression(C=3, max_iter=200, class_weight="balanced").fit(known, truth).predict_proba(asked)[:, 1]
    return [[labels[k] for k in range(len(labels)) if row[k] >= min(0.6, row.max())] for row in chances]


def vector_of(features: dict[str, Any], stream: str) -> Floats | None:
    """The mean token of a stream, [D_enc], or None where the stream is absent."""
    return None if stream not in features else np.asarray(features[stream].tokens[0].float().mean(0))
