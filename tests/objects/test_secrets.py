"""What is registered as secret is removed from text, JSON and buffers, and nothing else is changed."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from snakekernel.objects.secret_names import MASK, is_secret_name
from snakekernel.objects.secrets import Secrets

keys = st.text(min_size=8, max_size=20).filter(lambda key: key not in MASK and len(set(key)) > 3)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def holding(*values: str) -> Secrets:
    """A table with these secrets."""
    secrets = Secrets()
    for value in values:
        secrets.add(value)
    return secrets


def texts(data: Any) -> list[str]:
    """All texts in plain data, keys included."""
    if isinstance(data, dict):
        return [text for item in data.items() for part in item for text in texts(part)]
    if isinstance(data, list):
        return [text for item in data for text in texts(item)]
    return [data] if isinstance(data, str) else []


class TestJson:
    @given(keys, plain, st.booleans())
    def test_a_secret_in_any_text_goes(self, key: str, data: Any, ascii_only: bool) -> None:
        secrets = holding(key)
        assume(secrets)
        content = {
            "before": data,
            key: [f"<{key}>", {"deep": key}],
            "quoted": json.dumps(key),
            "repr": repr(key),
            "page": f"<td>{escape(key)}</td><pre>{escape(repr(key))}</pre>",
        }
        packed = json.dumps(content, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        clean = secrets.scrub(packed)
        text = json.dumps(json.loads(clean), ensure_ascii=False)
        assert json.dumps(key, ensure_ascii=False)[1:-1] not in text.replace(MASK, "")
        assert key not in json.loads(clean)
        assert escape(key) not in json.loads(clean)["page"].replace(MASK, "")

    @given(keys, st.integers(6, 19), st.booleans())
    def test_the_beginning_of_one_where_a_text_was_cut(self, key: str, length: int, ascii_only: bool) -> None:
        secrets = holding(key)
        assume(secrets and length < len(key) and "…" not in key)
        content = {"preview": f"{{'a': '{key[:length]}…", "page": f"<td>{escape(key)[:length]}…</td>"}
        clean = json.loads(secrets.scrub(json.dumps(content, ensure_ascii=ascii_only).encode()))
        assert clean == {"preview": f"{{'a': '{MASK}…", "page": f"<td>{MASK}…</td>"}

    @given(keys, plain)
    def test_other_content_is_left_as_it_is(self, key: str, data: Any) -> None:
        shown = (key, repr(key)[1:-1], ascii(key)[1:-1], json.dumps(key)[1:-1])
        forms = (*shown, *map(escape, shown))
        assume(not any(form in text for form in forms for text in texts(data)))
        assert json.loads(holding(key).scrub(json.dumps(data).encode())) == data

    @pytest.mark.parametrize(
        ("key", "content"),
        [
            ("12345678", {"number": 123456789, "float": 0.12345678, "text": "x"}),
            ("nothing to see", ["a\nothing to see"]),  # the escape \n runs into what follows
            ('","code":"', {"a": "", "code": ""}),
            ("true, false", [True, False]),
            ("u00e9\\u00e9", ["éé"]),
        ],
    )
    def test_what_only_looks_like_it_stays(self, key: str, content: Any) -> None:
        for ascii_only in (True, False):
            packed = json.dumps(content, ensure_ascii=ascii_only).encode()
            assert holding(key).scrub(packed) is packed

    def test_nothing_registered_costs_nothing(self) -> None:
        secrets = Secrets()
        assert not secrets
        packed, buffer = b'{"a": 1}', memoryview(b"abc")
        assert secrets.scrub(packed) is packed
        assert secrets.scrub_buffer(buffer) is buffer

    def test_one_inside_another_goes_whole(self) -> None:
        secrets = holding("inner-secret", "outer-inner-secret-outer")
        assert json.loads(secrets.scrub(b'["outer-inner-secret-outer", "inner-secret"]')) == [MASK, MASK]


class TestBuffers:
    @given(keys, st.binary(max_size=20), st.binary(max_size=20))
    def test_bytes(self, key: str, before: bytes, after: bytes) -> None:
        secrets = holding(key)
        assume(secrets)
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            needle = key.encode(encoding, "surrogatepass")
            buffer = memoryview(before + needle + after + needle)
            clean = secrets.scrub_buffer(buffer)
            assert needle not in bytes(clean)
            assert clean.nbytes == buffer.nbytes

    def test_numpy_strings(self) -> None:
        numpy = pytest.importorskip("numpy")
        secrets = holding("sk-0123456789")
        for dtype in ("<U20", ">U20", "S20"):
            array = numpy.array(["x", "sk-0123456789"]).astype(dtype)
            clean = secrets.scrub_buffer(memoryview(array.tobytes()))
            assert "sk-" not in str(numpy.frombuffer(clean, dtype))

    def test_a_secret_of_stars(self) -> None:
        """Its mask in buffers is itself: the search must end."""
        assert bytes(holding("*" * 8).scrub_buffer(memoryview(b"*" * 20))) == b"*" * 20


class TestWhatIsASecret:
    @pytest.mark.parametrize("value", ["short", "", None, 5, ["a-secret"], "EMPTY", "not-needed"])
    def test_not_these(self, value: object) -> None:
        secrets = Secrets()
        secrets.add(value)
        assert not secrets

    def test_secret_str(self) -> None:
        class SecretStr:
            def get_secret_value(self) -> str:
                return "from-secret-str"

        secrets = Secrets()
        secrets.add(SecretStr())
        assert secrets.scrub_text("x from-secret-str y") == f"x {MASK} y"

    @pytest.mark.parametrize(
        "name", ["api_key", "API-KEY", "openai_api_key", "secret", "password", "auth_token", "credentials"]
    )
    def test_secret_names(self, name: str) -> None:
        assert is_secret_name(name)

    @pytest.mark.parametrize("name", ["api_key_env", "max_tokens", "max_completion_tokens", "model", "key"])
    def test_harmless_names(self, name: str) -> None:
        assert not is_secret_name(name)

    def test_nested_config(self) -> None:
        secrets = Secrets()
        secrets.add_from(
            {
                "model": "a-harmless-model",
                "api_key": "secret-number-1",
                "lm": {"api_key": "secret-number-2", "options": [{"password": "secret-number-3"}]},
                "api_keys": ["secret-number-4"],
                "max_tokens": "a-harmless-number",
            }
        )
        text = " ".join(f"secret-number-{n}" for n in range(1, 5))
        assert secrets.scrub_text(text) == " ".join([MASK] * 4)
        assert (
            secrets.scrub_text("a-harmless-model a-harmless-number") == "a-harmless-model a-harmless-number"
        )
