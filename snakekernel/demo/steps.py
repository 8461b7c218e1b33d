"""The three examples of the demo, each a function of a `Narrator`.

Rules: every request is a structured message sent through the client; the data ship with installed libraries;
each result is checked, and a wrong one raises `DemoFailed`.
"""

from __future__ import annotations

from typing import Any

from ..client.proxy import ref
from ..wire.errors import NotFound
from .show import Narrator

#: What the two text models read: facts from the package's passages, with feeling.
TEXT = (
    "The Palmer penguins are a wonderful data set. It describes 344 penguins of three species, measured "
    "on three islands of Antarctica. Teachers love it, because the penguins are charming and the data are "
    "easy to understand. Eleven rows have missing values, which is a small nuisance. Gentoo penguins are "
    "the largest of the three species of penguins in the data set, and their flippers are the longest. "
    "The weather at the station was terrible in July."
)
COLUMNS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


def data_science(tell: Narrator) -> None:
    """pandas and scikit-learn in one session, on the Palmer penguins."""
    tell.chapter(
        "1  Data science: pandas and scikit-learn in one session",
        "Objects stay in the kernel under names; later calls take them by reference, so no data travel.",
    )
    session = "data-science"
    tell.do("create_session", session, ttl=600)
    tell.say("Where the penguins package keeps its file is a question for the kernel, too:")
    folder = tell.do("call", "importlib.resources.files", args=["palmerpenguins"], session_id=session)
    path = str(folder / "data" / "penguins.csv")
    tell.do("call", "pandas.read_csv", args=[path], store_as="df", session_id=session)
    rows = tell.do("call", "builtins.len", args=[ref("df")], session_id=session)
    tell.must("the file has 344 penguins", rows == 344)
    found = tell.do("inspect", "stored.df", session_id=session)
    tell.must("inspecting the table shows its shape", found["shape"] == [344, 8])

    tell.say("Now the whole analysis as one pipeline, in one round trip:")
    *_, score = tell.do("pipeline", _analysis(), session_id=session)
    tell.must(f"the model tells {score:.1%} of unseen penguins apart", 0.95 < score <= 1.0)

    tell.say("What the model thinks of one more bird, and what it went by:")
    bird = [{"bill_length_mm": 49.0, "bill_depth_mm": 14.6, "flipper_length_mm": 219, "body_mass_g": 5200}]
    tell.do("call", "pandas.DataFrame", args=[bird], store_as="bird", session_id=session)
    tell.do("call", "stored.model.predict", args=[ref("bird")], store_as="answer", session_id=session)
    species = tell.do("call", "stored.answer.tolist", session_id=session)
    tell.must("it is a Gentoo penguin", species == ["Gentoo"])
    weights = tell.do("call", "stored.model.feature_importances_", session_id=session)
    tell.must("the NumPy array came back as one", weights.shape == (4,) and abs(weights.sum() - 1) < 1e-9)
    stored = tell.do("list_stored", session_id=session)
    tell.must("everything is still there by name", {"df", "complete", "X_train", "model"} <= set(stored))


def _analysis() -> list[dict[str, Any]]:
    """From the stored table ``df`` to the score of a random forest."""
    parts = ["X_train", "X_test", "y_train", "y_test"]
    split = {"test_size": 0.2, "random_state": 0, "stratify": ref("y")}
    return [
        {"target": "stored.df.dropna", "store_as": "complete"},
        {"target": "stored.complete.filter", "kwargs": {"items": COLUMNS}, "store_as": "X"},
        {"target": "stored.complete.species", "store_as": "y"},
        {
            "target": "sklearn.model_selection.train_test_split",
            "args": [ref("X"), ref("y")],
            "kwargs": split,
            "store_as": "split",
        },
        *({"target": ["stored", "split", i], "store_as": part} for i, part in enumerate(parts)),
        {
            "target": "sklearn.ensemble.RandomForestClassifier",
            "kwargs": {"n_estimators": 50, "random_state": 0},
            "store_as": "model",
        },
        {"target": "stored.model.fit", "args": [ref("X_train"), ref("y_train")], "returns": "none"},
        {"target": "stored.model.score", "args": [ref("X_test"), ref("y_test")]},
    ]


def two_frameworks(tell: Narrator, *, api_base: str, api_key: str) -> None:
    """A DSPy program and a sentiment model side by side in one session, on the same text."""
    tell.chapter(
        "2  Two frameworks: DSPy and a sentiment model on the same text",
        "The language model is a small server of the demo's own, here; VADER ships its lexicon.",
    )
    session = "text"
    settings = {"lm": "openai/demo", "api_base": api_base, "api_key": api_key, "cache": False}
    tell.do("call", "dspy.configure", kwargs=settings, session_id=session)
    tell.do(
        "call",
        "dspy.Predict",
        kwargs={"signature": "text -> summary"},
        store_as="summarizer",
        session_id=session,
    )
    analyzer = "vaderSentiment.vaderSentiment.SentimentIntensityAnalyzer"
    tell.do("call", analyzer, store_as="sentiment", session_id=session)
    tell.do("store", "text", TEXT, session_id=session)

    tell.say("Both read the stored text:")
    text = {"text": ref("text")}
    prediction = tell.do("call", "stored.summarizer.__call__", kwargs=text, session_id=session)
    summary = str(prediction["prediction_data"]["summary"])
    tell.must(
        "the summary is made of the text's own sentences", all(part in TEXT for part in summary.split(". "))
    )
    tell.must(
        "it is shorter, and leaves the weather out", len(summary) < len(TEXT) / 2 and "July" not in summary
    )
    feeling = tell.do("call", "stored.sentiment.polarity_scores", kwargs=text, session_id=session)
    tell.must("VADER finds the text positive", feeling["compound"] > 0.5 and feeling["pos"] > feeling["neg"])
    tell.must("the API key stands in nothing that came back", tell.never_shown(api_key))


def legacy(tell: Narrator, *, api_base: str, api_key: str) -> None:
    """The design's first API: programs by name, and the two helpers for questions and answers."""
    tell.chapter(
        "3  Legacy commands: what older programs send still works",
        "They are translated into the same calls, so their programs are stored objects like any other.",
    )
    tell.do("configure_lm", provider="openai", model="demo", api_key=api_key, api_base=api_base, cache=False)
    signature = {"inputs": [{"name": "question"}], "outputs": [{"name": "count", "type": "int"}]}
    tell.do("create_program", "counter", signature, module="ChainOfThought")
    outputs = tell.do("execute_program", "counter", {"question": "How many Gentoo penguins are there?"})
    tell.must("a typed output is a number: 124", outputs["count"] == 124)
    tell.do("create_qa_program", "my_qa", "Answer accurately")
    answer = tell.do("ask_question", "my_qa", "What is Elixir?")
    tell.must("the question is answered", "functional programming language" in answer)
    tell.say("The same program through the dynamic API:")
    question = {"question": "What are the benefits of functional programming?"}
    prediction = tell.do("call", "stored.my_qa.__call__", kwargs=question)
    tell.must("and so is this one", "easier to test" in prediction["prediction_data"]["answer"])
    listed = tell.do("list_programs")
    tell.must("both programs are listed", {"counter", "my_qa"} <= {program["id"] for program in listed})
    program = tell.do("get_program", "my_qa")
    tell.must("its instructions are kept", program["instructions"] == "Answer accurately")
    tell.do("delete_program", "my_qa")
    tell.refused(
        "a deleted program is gone, and the error says so",
        NotFound,
        "execute_program",
        "my_qa",
        {"question": "Are you still there?"},
    )
