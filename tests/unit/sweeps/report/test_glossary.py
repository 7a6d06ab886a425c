"""The page explains five words."""

from __future__ import annotations

from sweeps.report.glossary import glossary


def test_the_glossary_has_five_words() -> None:
    words = [word for word, _ in glossary()]
    assert words == ["Arm", "Trial", "Seed", "Val and test", "95% interval"]
