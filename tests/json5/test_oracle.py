# SPDX-License-Identifier: BSD-2-Clause
"""JSON5 as the npm package json5 reads it, which gateways read their configuration with:
the cases of the specification (https://spec.json5.org, by its sections), and documents
made at random, read and patched."""
import json
import math
import os
import random
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.environ.get("MW_BUILD", os.path.join(HERE, "..", "..", "build")), "tests/json5/tool")
SEED = int(os.environ.get("MW_SEED", "20261201"))
PAIRS = 1500

# What is JSON5, and what is not.
GOOD = [
    # 2 values, 3 objects
    "{}", "[]", "null", "true", "false", "'x'", "1", " \n{ }\t", "{a:1}", "{'a':1}", '{"a":1}',
    "{a:1,}", "{$:1,_:2,$a_1:3}", "{\u00fcml\u00e4ut:1}", "{\\u0061b\\u0063:1}", "{a\u200c\u200d:1}",
    "{\u16eeb\u2160:1}", "{a\u0301:1,b\u203fc:2}", "{null:1,true:2,Infinity:3,NaN:4,while:5}",
    "{'':1}", "{a:{b:{c:[]}}}", "{__proto__:{a:1}}", "{constructor:1,toString:2}", "{'1e3':1}",
    # 4 arrays
    "[1,]", "[[],[[]]]", "[1,'a',{b:[]},null]", "[\n1\n,\n2\n]",
    # 5 strings
    "'\"'", '"\'"', "'\\''", '"\\""', r"'\b\f\n\r\t\v\0\\\/'", r"'\x41\xe9\u00e9\u20AC'",
    r"'\a\c\d\e\g\q\?\-'", "'\\\u00e9\\\U0001f600'", "'a\\\nb'", "'a\\\r\nb'", "'a\\\rb'",
    "'a\\\u2028b\\\u2029c'", "'\u2028\u2029'", "'\t\x01\x1f\x7f'", r"'\ud83d\ude00'", r"'\ud83d'",
    r"'\ude00\ud83d'", "'\\ud83d\\\n\\ude00'", "'\U0001f600'", "'// no /* comment'", r"'\0a'",
    # 6 numbers
    "0", "-0", "+0", "12", "+12", "-12", "1.5", ".5", "5.", "+.5", "-.5", "-5.", "1e2", "1E+2",
    "1e-2", "5.e2", ".5e2", "0.0", "0e0", "0x0", "0xdecaf", "0XC0FFEE", "-0xFf", "+0x10",
    "0x" + "f" * 40, "Infinity", "+Infinity", "-Infinity", "NaN", "+NaN", "-NaN",
    "9007199254740993", "123456789012345678901234567890.123456789", "1e400", "1e-400",
    # 7 comments, 8 white space
    "// a\n1", "1// a", "1 // a\r\n", "/* a */1/**/", "/***/1", "/* * / */1", "/* // */1",
    "//\u20281", "//\u20291", "[/* a */1/* b */,/* c */]", "{/*a*/a/*b*/:/*c*/1/*d*/,//e\n}",
    "\ufeff1", "\t\v\f \u00a0\ufeff\n\r\u2028\u20291", "\u1680\u2000\u200a\u202f\u205f\u30001",
]
BAD = [
    "", " ", "// a", "/* a", "/* a *", "/", "/ 1", "{", "{a", "{a:", "{a:1", "{a:1,", "{,}", "{a}",
    "{a,}", "{a:}", "{a:1 b:2}", "{a:1,,}", "{1:1}", "{a-b:1}", "{\\x61:1}", "{\\u0020:1}",
    "{\\u006:1}", "{\\a:1}", "{'a'}", "{a::1}", "{[1]:1}", "{\u2764:1}", "[", "[1", "[1,", "[,]", "[1,,2]", "[1 2]",
    "]", "}", "[}", "{]", "'", "'a", "\"a'", "'a\nb'", "'a\rb'", "'\\", "'\\x4'", "'\\x4g'", "'\\u004'",
    "'\\u00g0'", "'\\1'", "'\\9'", "'\\01'", "+", "-", ".", "+-1", "--1", "- 1", "1e", "1e+", "1.e",
    "1.2.3", "01", "-01", "00", "0x", "0xg", "0x1.5", "0b1", "0o7", "1_000", "1n", "infinity", "nan",
    "Infinit", "Infinityx", "NaNs", "undefined", "nul", "nulls", "truefalse", "True", "a", "`a`",
    "1 2", "{}{}", "[],", "1,", "# a\n1", "\x001", "\u200b1",
]


@pytest.fixture(scope="module")
def node():
    """What the package says of texts, or a skip."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node")
    if not os.path.isdir(os.path.join(HERE, "node_modules", "json5")):
        pytest.skip("the npm package json5 is not installed: npm ci in tests/json5")

    def ask(texts):
        r = subprocess.run([found, os.path.join(HERE, "oracle.js")], input=json.dumps(texts).encode(),
                           stdout=subprocess.PIPE, timeout=120, check=True)
        return [v if v is None else plain(v[0]) for v in load(r.stdout)]
    return ask


def load(s):
    return json.loads(s, parse_int=float, parse_float=float)


def plain(v):
    """With the numbers that JSON has not."""
    if isinstance(v, str) and v[:1] == "\0" and v[1:] in ("Infinity", "-Infinity", "NaN"):
        return float(v[1:])
    if isinstance(v, list):
        return [plain(x) for x in v]
    return {k: plain(x) for k, x in v.items()} if isinstance(v, dict) else v


def as_json(v):
    if isinstance(v, float) and not math.isfinite(v):
        return None
    if isinstance(v, list):
        return [as_json(x) for x in v]
    return {k: as_json(x) for k, x in v.items()} if isinstance(v, dict) else v


def ours(pairs):
    """[(value, or None), (patched text, or the error)] of (document, patch)s, as bytes."""
    data = b"".join(b"%d %d\n%s%s" % (len(d), len(p), d, p) for d, p in pairs)
    out = subprocess.run([TOOL], input=data, stdout=subprocess.PIPE, timeout=120, check=True).stdout
    got, at = [], 0
    while at < len(out):
        end = out.index(b"\n", at)
        at = end + 1 + int(out[at:end])
        got.append(out[end + 1:at])
    assert len(got) == 2 * len(pairs)
    return [(None if v[:1] == b"!" else as_json(load(v)), t) for v, t in zip(got[::2], got[1::2])]


def values(texts):
    return [v for v, _ in ours([(t.encode(), b"{}") for t in texts])]


def read_by_us(text):
    (got,) = ours([(text.encode(), b"{}")])
    return None if got[0] is None and got[1][:1] == b"!" and b"line" in got[1] else [got[0]]


@pytest.mark.parametrize("text", GOOD, ids=[ascii(t)[1:-1][:40] for t in GOOD])
def test_good(text):
    assert read_by_us(text) is not None


@pytest.mark.parametrize("text", BAD, ids=[ascii(t)[1:-1][:40] or "nothing" for t in BAD])
def test_bad(text):
    assert read_by_us(text) is None


def test_the_specification(node):
    for text, theirs in zip(GOOD + BAD, node(["[%s\n]" % t for t in GOOD] + BAD)):
        if text in BAD:
            assert theirs is None, ascii(text)
        elif text != "\ufeff1":
            assert theirs is not None, ascii(text)
    good = ["[%s\n]" % t for t in GOOD]
    for text, mine, theirs in zip(good, values(good), node(good)):
        assert mine == as_json(theirs), ascii(text)


# ---- documents made at random ----

class Maker:
    """A document, and where the values of its own members stand."""

    def __init__(self, rnd):
        self.rnd, self.n = rnd, 0

    def space(self, line=False):
        rnd = self.rnd
        self.n += 1
        return rnd.choice(["", "", "", " ", "  ", "\t", "/* c%d */" % self.n, "\n", "\r\n",
                           " // c%d\n" % self.n, "/* c%d\n */" % self.n, "\u00a0", "//c%d\u2028" % self.n])

    def string(self):
        q = self.rnd.choice("'\"")
        parts = ["a", "B", " ", "\u00e9", "\\n", "\\x41", "\\u20ac", "\\\n", "//", "/*", "\\\\", "\\" + q,
                 "\"" if q == "'" else "'", "\\0", "\\ud83d\\ude00", "{", "}", ",", ":"]
        return q + "".join(self.rnd.choice(parts) for _ in range(self.rnd.randrange(5))) + q

    def name(self, i):
        base = "k%d" % i
        return self.rnd.choice([base, '"%s"' % base, "'%s'" % base, "\\u006b%d" % i, "'\\x6b%d'" % i])

    def value(self, depth=0):
        kind = self.rnd.randrange(9 if depth < 3 else 6)
        if kind == 0:
            return self.rnd.choice(["null", "true", "false"])
        if kind < 4:
            return self.rnd.choice(["0", "-0", "1.50", ".5", "5.", "+7", "0xFf", "-0x10", "1e3", "Infinity",
                                    "-Infinity", "NaN", "9007199254740993", "0x" + "9" * 30])
        if kind < 6:
            return self.string()
        if kind == 6:
            return self.group("[", "]", [(None, self.value(depth + 1)) for _ in range(self.rnd.randrange(3))])[0]
        return self.object(depth + 1)[0]

    def object(self, depth=0):
        numbers = self.rnd.sample(range(6), self.rnd.randrange(6))
        text, spans = self.group("{", "}", [(self.name(i), self.value(depth)) for i in numbers])
        return text, [("k%d" % i, a, b) for i, (a, b) in zip(numbers, spans)]

    def group(self, opening, closing, members):
        text, spans = opening + self.space(), []
        for i, (name, value) in enumerate(members):
            if name is not None:
                text += name + self.space() + ":" + self.space()
            spans.append((len(text), len(text) + len(value)))
            text += value + self.space()
            if i + 1 < len(members) or self.rnd.random() < 0.3:
                text += "," + self.space()
        return text + closing, spans


def merged(target, patch):
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for k, v in patch.items():
        if v is None:
            out.pop(k, None)
        else:
            out[k] = merged(out.get(k), v)
    return out


def same(a, b):
    """NaN is NaN here."""
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def documents(rnd, n):
    return [Maker(rnd).object() for _ in range(n)]


def test_patches(node):
    """The text that comes of a patch says what the merge of the values says."""
    rnd = random.Random(SEED)
    docs = [d for d, _ in documents(rnd, PAIRS)]
    patches = [d for d, _ in documents(rnd, PAIRS)]
    got = ours([(d.encode(), p.encode()) for d, p in zip(docs, patches)])
    was, by = node(docs), node(patches)
    kept = [i for i, (_, t) in enumerate(got) if t[:1] != b"!"]
    assert len(kept) > PAIRS * 9 // 10
    for i in set(range(PAIRS)) - set(kept):
        assert b"Infinity" in got[i][1], (SEED, docs[i], patches[i], got[i])
    now = dict(zip(kept, node([got[i][1].decode() for i in kept])))
    mine = dict(zip(kept, values([got[i][1].decode() for i in kept])))
    for i in range(PAIRS):
        assert was[i] is not None and by[i] is not None, (SEED, docs[i], patches[i])
        assert got[i][0] == as_json(was[i]), (SEED, docs[i])
        if i not in now:
            continue
        assert same(now[i], merged(was[i], by[i])), (SEED, docs[i], patches[i], got[i][1])
        assert mine[i] == as_json(now[i]), (SEED, docs[i], patches[i])


def test_nothing_else_is_touched():
    """A value replaced: the bytes before and behind it are the same."""
    rnd = random.Random(SEED + 1)
    places = [(text, *span) for text, spans in documents(rnd, PAIRS) for span in spans]
    assert len(places) > PAIRS
    got = ours([(text.encode(), ("{%s:true}" % key).encode()) for text, key, _, _ in places])
    for (text, key, start, end), (_, after) in zip(places, got):
        assert after.decode() == text[:start] + "true" + text[end:], (SEED, text, key)


def neat(rnd):
    """A document as people write them, a member a line; and the same without member 2."""
    eol, indent = rnd.choice(["\n", "\r\n"]), rnd.choice(["  ", "\t", "    "])
    q, colon, last = rnd.choice(["", "'", '"']), rnd.choice([":", ": "]), rnd.choice(["", ","])
    values = ["1", "'x'", "[1, 2]", "{%s%sin%s: 1%s%s}" % (eol, indent * 2, eol, eol, indent), "{a: 1}"]
    lines = []
    for i in range(1, 4):
        above = rnd.choice(["", "", indent + "// of k%d" % i + eol, eol])
        behind = rnd.choice(["", "", " // behind", " /* behind */", "  "])
        lines.append((above, indent + q + "k%d" % i + q + colon + rnd.choice(values), behind + eol))

    def text(which):
        out = top + "{" + eol
        for i in range(3):
            above, member, behind = lines[i]
            out += above
            if i in which:
                out += member + ("," if i != max(which) else last) + behind
        return out + "}" + end
    top, end = rnd.choice(["", "\ufeff", "// top" + eol, eol]), rnd.choice(["", eol, eol + "// end" + eol])
    return text, indent + q + "zz" + q + colon, last, eol


def test_a_line_taken_away():
    """Its line, its comma, the comment behind it, and not a byte more."""
    rnd = random.Random(SEED + 2)
    cases = []
    for _ in range(PAIRS):
        text = neat(rnd)[0]
        for gone in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
            stay = [i for i in range(3) if i not in gone]
            want = text(stay) if stay else text([-1])
            cases.append((text([0, 1, 2]), "{%s}" % ",".join("k%d:null" % (i + 1) for i in gone), want))
    for (doc, patch, want), (_, got) in zip(cases, ours([(d.encode(), p.encode()) for d, p, _ in cases])):
        assert got.decode() == want, (SEED, doc, patch)


def test_a_line_added():
    """Behind the last one, the way that is written; and gone again without a trace."""
    rnd = random.Random(SEED + 3)
    cases = []
    for _ in range(PAIRS):
        text, member, last, eol = neat(rnd)
        doc = text([0, 1, 2])
        behind = doc.rsplit(eol + "}", 1)[1]
        cases.append((doc, member + "true" + last, eol + "}" + behind, eol))
    got = [t for _, t in ours([(c[0].encode(), b"{zz:true}") for c in cases])]
    back = [t for _, t in ours([(t, b"{zz:null}") for t in got])]
    for (doc, member, behind, eol), new, old in zip(cases, got, back):
        assert new.decode().endswith(eol + member + behind), (SEED, doc, new)
        assert old.decode() == doc, (SEED, doc, new)
