import os
from random import Random
from typing import Any, Final

import pytest

from node.http import strict_json
from node.http.strict_json import BadJsonError, parse
from tests.unit.http.conftest import API, World


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"b":2,"a":3}}',
        b"NaN",
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":-1e999}',
        b"18446744073709551616",
        b"-9223372036854775809",
        b"9" * 5000,
        b'"\\u0000"',
        b'{"a\\u0000":1}',
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
        b'{"a":"\\uDFFF"}',
        b'"\x00"',
        b'"\xed\xa0\x80"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{",
        b"{}{}",
        b"{'a':1}",
        b"[1,]",
        b" ",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_ambiguous_or_broken_json_is_refused(text: bytes) -> None:
    with pytest.raises(BadJsonError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"", {}),
        (b" {} ", {}),
        (b'{"a":[1,2.5,null,true]}', {"a": [1, 2.5, None, True]}),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"\\u00e9\\ud83d\\ude00"', "\u00e9\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        ('"\u202e\u200b"'.encode(), "\u202e\u200b"),
        (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_everything_else_is_taken_unchanged(text: bytes, value: Any) -> None:
    assert parse(text) == value


_PIECES: Final = (
    *(b"{", b"}", b"[", b"]", b":", b",", b" ", b'""', b'"a"', b'"a":', b'"b":', b'"c d"'),
    *(b"0", b"-0", b"1", b"01", b"1.5", b"1.", b"-0.0", b"1e3", b"1e400", b"9e99", b"true"),
    *(b"null", b"NaN", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616"),
    *(b'"\\""', b'"\\n"', b'"\\\\"', b'"\\u0000"', b'"\\u00e9"', b'"\\ud800"', b'"\\x"', b'"'),
    *(
        b'"\x00"',
        b'"\x7f"',
        b'"\xc3\xa9"',
        b"\xff",
        b"\xef\xbb\xbf",
        b'"a":1,',
        b"\\",
        b"\n",
        b"\x0b",
    ),
    *(b"[" * 20 + b"]" * 20, b"[" * 1000 + b"]" * 1000, b'{"a":{"a":1},"b":{"a":[]}}'),
)


def _said(body: bytes) -> tuple[str, str]:
    try:
        value = parse(body)
    except BadJsonError as error:
        return "refused", str(error)
    return "taken", repr(value)


def test_the_quick_reader_says_what_the_strict_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(os.environ.get("SEED", "0")) or Random().randrange(1 << 32)
    print(f"SEED={seed}")
    chance = Random(seed)
    bodies = [b"".join(chance.choices(_PIECES, k=chance.randint(1, 9))) for _ in range(20_000)]
    bodies += [b'{"a":%b,"b":%b}' % tuple(chance.choices(_PIECES, k=2)) for _ in range(5_000)]
    bodies += [b"{%b1,%b2}" % tuple(chance.choices(_PIECES[8:11], k=2)) for _ in range(50)]
    quick = [_said(body) for body in bodies]
    monkeypatch.setattr(strict_json, "_quickly", lambda _body: strict_json._UNSURE)
    assert quick == [_said(body) for body in bodies]
    assert sum(kind == "taken" for kind, _ in quick) > 1000


async def test_a_refused_body_is_400_and_writes_nothing(world: World) -> None:
    for raw in (b'{"title":"t","title":"u","content":"c"}', b"[]", b'"x"', b"{"):
        reply = await world.ask("POST", f"{API}/memories", raw=raw)
        assert (reply.status, reply.json["error"]) == (400, "invalid_json"), raw
    assert not world.node.log
