"""What a name or a text says of itself: no secret is overlooked, and no ordinary word is taken for one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.objects.secret_names import MASK, hides, looks_like_key, meaning_of, scrubbed

pytestmark = pytest.mark.promise("attack-13")

SECRET = [
    "api_key",
    "API-KEY",
    "apiKey",
    "OPENAI_API_KEY",
    "openai_api_key",
    "x-api-key",
    "secret",
    "client_secret",
    "SECRET_KEY",
    "password",
    "db_password",
    "dbPassword",
    "DB_PASSWORD",
    "passwd",
    "pwd",
    "passphrase",
    "authorization",
    "Authorization",
    "credentials",
    "aws_secret_access_key",
    "auth_token",
    "accessToken",
    "refresh_token",
    "X-Auth-Token",
    "GITHUB_TOKEN",
    "hf_token",
    "private_key",
    "privateKey",
    "PRIVATE_KEY",
    "_secret_value",
    "apikeys",
    "secret_token",
    "access_tokens",
    "encryption_key",
    "password_hash",
]
MAYBE = ["token", "some_token", "cookie", "bearer", "signature", "db_pass"]
HARMLESS = [
    "model",
    "key",
    "keys",
    "keyboard",
    "monkey",
    "primary_key",
    "sort_key",
    "foreign_key",
    "tokenizer",
    "tokens",
    "max_tokens",
    "n_tokens",
    "token_ids",
    "token_count",
    "eos_token",
    "pad_token",
    "max_completion_tokens",
    "prompt_tokens",
    "tokenize",
    "detokenized",
    "secretary",
    "passwordless",
    "password_file",
    "password_env",
    "api_key_env",
    "api_key_name",
    "secret_name",
    "token_type",
    "token_url",
    "token_limit",
    "access_key_id",
    "author",
    "authority",
    "compass",
    "bypass",
    "passes",
    "passenger",
    "credentialed_by",
    "name",
    "x",
    "password_length",
    "cookies_accepted",
]


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets(name: str) -> None:
    assert meaning_of(name) == "secret"
    assert hides(name, "x")
    assert not hides(name, "")
    assert not hides(name, 5)


@pytest.mark.parametrize("name", MAYBE)
def test_names_that_may_mean_one(name: str) -> None:
    assert meaning_of(name) == "maybe"
    assert hides(name, "a1b2c3d4e5f6")
    assert not hides(name, "international")


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_names(name: str) -> None:
    assert meaning_of(name) == "harmless"
    assert not hides(name, "a1b2c3d4e5f6")


@given(st.text())
def test_any_name_has_a_meaning(name: str) -> None:
    assert meaning_of(name) in ("secret", "maybe", "harmless")


@pytest.mark.parametrize(
    ("text", "is_key"), [("word", False), ("several words here1", False), ("AbCd1234", True)]
)
def test_what_a_key_looks_like(text: str, is_key: bool) -> None:
    assert looks_like_key(text) is is_key


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("C(api_key='hunter2', n=3)", "C(api_key='[secret]', n=3)"),
        ('{"password": "a b", "x": 1}', '{"password": "[secret]", "x": 1}'),
        (r"{'password': 'a\'b', 'x': 1}", "{'password': '[secret]', 'x': 1}"),
        (r"'{\'api_key\': \'sk\'}'", r"'{\'api_key\': \'[secret]\'}'"),
        ("x = \"{'password': 'hunter2'}\"", "x = \"{'password': '[secret]'}\""),
        ("\x1b[0mpassword\x1b[0m \x1b[34m=\x1b[0m 'h'", "\x1b[0mpassword\x1b[0m \x1b[34m=\x1b[0m '[secret]'"),
        ("password: 'x…", "password: '[secret]…"),
        ("Authorization: Bearer abcdef12345678", "Authorization: Bearer [secret]"),
        ("postgres://ada:p@ss@host/db", "postgres://ada:[secret]@host/db"),
        ("http://x/?token=abcdef1234&a=1", "http://x/?token=[secret]&a=1"),
        ("DB_PASSWORD=hunter22", "DB_PASSWORD=[secret]"),
        ("the key sk-abcdefghijklmnopqrstu", "the key [secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", "[secret]"),
    ],
)
def test_texts_that_hold_one(text: str, clean: str) -> None:
    assert scrubbed(text) == clean
    assert scrubbed(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "connect(password=password)",
        "max_tokens='5', tokenizer='bpe'",
        "Bearer authentication is",
        "token = 'word'",
        "https://host:8888/path?a=1",
        "key='value'",
        "the password is wrong",
    ],
)
def test_texts_that_hold_none(text: str) -> None:
    assert scrubbed(text) is text


names = st.sampled_from(SECRET)
values = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30).filter(
    lambda value: value not in MASK and "…" not in value and "'" not in value and '"' not in value
)


@given(names, values, st.text(max_size=20))
def test_reprs_of_any_secret(name: str, value: str, other: str) -> None:
    clean = scrubbed(repr({"first": other, name: value}))
    assert f": {value!r}}}" not in clean
    assert clean.endswith(f"{MASK}'}}")


@given(st.text())
def test_any_text(text: str) -> None:
    assert scrubbed(scrubbed(text)) == scrubbed(text)


@pytest.mark.parametrize(
    "part", ["key", "key='", "://", "a='", "\\", "key=' ", "eyJ", "a.b-", "token ", "password=", "\x1b[0mkey"]
)
def test_texts_made_to_take_long(part: str) -> None:
    began = time.process_time()
    scrubbed(part * (400_000 // len(part)) + " password")
    assert time.process_time() - began < 10
