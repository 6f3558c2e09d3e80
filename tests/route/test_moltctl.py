# SPDX-License-Identifier: BSD-2-Clause
"""moltctl: its help, and what it says of a word that is no verb."""
import pytest

VERBS = ["serve", "config", "drain", "stop-all"]


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(make, verb, flag):
    gw = make()
    status, out, err = gw.moltctl(verb, flag)
    assert status == 0 and err == "" and out.startswith("usage: moltctl %s " % verb), (out, err)
    assert gw.moltctl("help", verb)[1] == out
    assert gw.moltctl(verb, "--config", "/nonexistent", flag)[1] == out, "before anything is done"


def test_help_and_version(make):
    gw = make()
    status, out, _ = gw.moltctl("--help")
    assert status == 0 and all("  %s " % v in out for v in VERBS), out
    assert gw.moltctl("-h")[:2] == (0, out) and gw.moltctl("help")[:2] == (0, out)
    status, version, _ = gw.moltctl("--version")
    assert status == 0 and version.startswith("moltctl ")
    for words in (["-V"], ["serve", "-V"], ["drain", "--version"]):
        assert gw.moltctl(*words)[:2] == (0, version), words


@pytest.mark.parametrize("word,meant", [("sreve", "serve"), ("drian", "drain"), ("Config", "config"),
                                        ("stopall", "stop-all"), ("frobnicate", None)])
def test_unknown_verb(make, word, meant):
    gw = make()
    for words in ([word], [word, "-h"], ["help", word]):
        status, out, err = gw.moltctl(*words)
        assert status == 2 and out == "" and "no such verb: " + word in err, (words, out, err)
        assert ("did you mean %s?" % meant in err) if meant else ("--help" in err), err
