"""The scikit-learn plugin: what estimators tell of themselves."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("sklearn")


def put(bench: Any, obj: Any) -> None:
    bench.runtime.store.put(None, "model", obj, writer="", now=time.time())


def test_an_estimator_made_and_fitted_through_calls(bench: Any) -> None:
    made = bench.ok(
        "call",
        target="sklearn.linear_model.LinearRegression",
        kwargs={"fit_intercept": False},
        store_as="model",
    )["result"]
    assert made["fitted"] is False
    assert made["fitted_attributes"] == {}
    assert made["parameters"]["fit_intercept"]["value"] is False
    bench.ok("call", target="stored.model.fit", args=[[[1.0], [2.0]], [2.0, 4.0]], returns="none")
    found = bench.ok("retrieve", id="model")["object"]
    assert found["fitted"] is True
    assert found["fitted_attributes"]["coef_"]["shape"] == [1]
    assert found["fitted_attributes"]["n_features_in_"]["value"] == 1
    assert found["type"] == "LinearRegression"
    assert "plugin_error" not in found


def test_a_pipeline_names_its_steps_and_shows_its_html(bench: Any) -> None:
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    put(bench, make_pipeline(StandardScaler(), "passthrough", SelectKBest(k=2), SVC(C=3)))
    inspection = bench.ok("inspect", target="stored.model")["inspection"]
    assert "plugin_error" not in inspection
    assert [(s["name"], s["type"]) for s in inspection["sklearn"]["steps"]] == [
        ("standardscaler", "StandardScaler"),
        ("passthrough", "passthrough"),
        ("selectkbest", "SelectKBest"),
        ("svc", "SVC"),
    ]
    assert "StandardScaler" in inspection["html"]
    assert len(inspection["html"]) <= 256 << 10
    assert "steps" in inspection["sklearn"]["parameters"]


def test_column_transformers_and_forests(bench: Any) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import OneHotEncoder

    put(bench, make_column_transformer((OneHotEncoder(), [0]), remainder="drop"))
    assert bench.ok("retrieve", id="model")["object"]["steps"][0]["type"] == "OneHotEncoder"
    forest = RandomForestClassifier(n_estimators=60, random_state=0).fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    put(bench, forest)
    found = bench.ok("retrieve", id="model")["object"]
    assert found["fitted"] is True
    assert "items" not in found["fitted_attributes"]["estimators_"]
    assert len(str(found)) < 100_000


def test_an_estimator_of_ones_own_that_misbehaves(bench: Any) -> None:
    from sklearn.base import BaseEstimator

    class Odd(BaseEstimator):  # type: ignore[misc]
        def get_params(self, deep: bool = True) -> dict[str, Any]:
            raise RuntimeError("odd")

    class Plain(BaseEstimator):  # type: ignore[misc]
        pass

    put(bench, Odd())
    assert "odd" in bench.ok("retrieve", id="model")["object"]["plugin_error"]
    put(bench, Plain())
    assert bench.ok("retrieve", id="model")["object"]["fitted"] is False


def test_configuration_for_the_process_and_for_a_session(bench: Any) -> None:
    import sklearn

    before = sklearn.get_config()
    try:
        option = {"display": "text"}
        bench.ok("configure", framework="sklearn", config=option, session_id="s")
        asked = {"target": "sklearn.get_config"}
        assert bench.ok("call", **asked, session_id="s")["result"]["value"]["display"] == "text"
        assert bench.ok("call", **asked)["result"]["value"]["display"] == before["display"]
        assert bench.error("configure", framework="sklearn", config={"no": 1})["ename"] == "TypeError"
        assert bench.error("configure", framework="sklearn", config={"no": 1}, session_id="s")
        bench.ok("configure", framework="sklearn", config=option)
        assert bench.ok("call", **asked)["result"]["value"]["display"] == "text"
    finally:
        sklearn.set_config(**before)
