"""What is registered as secret is removed from text, JSON and buffers, and nothing else is changed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
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

    @pytest.mark.parametrize(
        "key", ["sk-0123456789", "sk-é-01234567", "sk-€-01234567", "sk-\U0001f511-0123456"]
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
    @pytest.mark.parametrize("filling", [b"\0", b"\xff", b"s\0"])
    def test_wherever_it_is_in_a_large_one(self, key: str, encoding: str, filling: bytes) -> None:
        """Across the pieces that are searched at once, too, at every alignment, and nothing else changes."""
        needle, secrets = key.encode(encoding), holding(key, "another-secret")
        for shift in range(-len(needle) - 4, 5, 3):
            at = (1 << 18) + shift
            whole = (filling * (1 << 19))[:at] + needle + bytes(1000)
            clean = bytes(secrets.scrub_buffer(memoryview(whole)))
            assert needle.strip(b"\0") not in clean
            # Among zeros it may have been found in the other byte order, a few bytes beside.
            before, after = at - 3, at + len(needle) + 3
            assert (clean[:before], clean[after:]) == (whole[:before], whole[after:])

    def test_items_of_more_than_a_byte(self) -> None:
        import array

        numbers = array.array("d", [1.5, float.fromhex("0x1p-3")])
        buffer = memoryview(numbers)
        assert holding("sk-0123456789").scrub_buffer(buffer) is buffer
        inside = array.array("Q", b"sk-0123456789---")
        assert bytes(holding("sk-0123456789").scrub_buffer(memoryview(inside))) == b"*" * 13 + b"---"

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

    def test_of_the_environment_what_looks_like_a_key(self) -> None:
        secrets = Secrets()
        secrets.add_environment(
            {
                "OPENAI_API_KEY": "sk-0123456789",
                "TOKEN": "ghp0123456789",
                "DB_PASS": "Tr0ubadour",
                "POSTGRES_PASSWORD": "postgres",
                "DB_PASSWORD": "production",
                "SECRET_KEY_FILE": "/run/secrets/key1",
                "SECRET_URL": "https://vault.example/1",
                "HOME_PASSPHRASE": "two words 1",
                "PAGER_TOKENS": "tokens1234",
                "MODEL": "gpt-4o-mini-2024",
            }
        )
        assert secrets.scrub_text("sk-0123456789 ghp0123456789 Tr0ubadour") == " ".join([MASK] * 3)
        assert len(secrets) == 3

    def test_of_many_threads_none_is_lost(self) -> None:
        secrets = Secrets()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: secrets.add(f"secret-of-thread-{n:04}-"), range(400)))
        text = "".join(f"secret-of-thread-{n:04}-" for n in range(400))
        assert secrets.scrub_text(text) == MASK * 400
        assert secrets.scrub(json.dumps([text]).encode()) == json.dumps([MASK * 400]).encode()
        assert set(bytes(secrets.scrub_buffer(memoryview(text.encode())))) == {ord("*")}

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
