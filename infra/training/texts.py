"""Draws what a line says: sentences of the sources, phrases of forms, syllables and glyphs at random."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from infra.training import charset, sources, wording

Words = list[str]


@dataclass(frozen=True)
class Texts:
    """sentences: groups of paragraphs with the chance of each group; syllables of the word list."""

    groups: tuple[tuple[float, tuple[str, ...]], ...]
    syllables: tuple[str, ...]

    @classmethod
    def gather(cls, root: Path, law: Path, cache: Path) -> Texts:
        if cache.exists():
            raw = json.loads(cache.read_text(encoding="utf-8"))
            return cls(tuple((w, tuple(lines)) for w, lines in raw["groups"]), tuple(raw["syllables"]))
        groups = (
            (0.40, tuple(dict.fromkeys(sources.law_lines(law)))),
            (0.36, tuple(dict.fromkeys(sources.catalogue_lines(root)))),
            (0.24, tuple(dict.fromkeys(sources.help_lines(root)))),
        )
        found = cls(groups, tuple(sources.syllables(root)))
        cache.write_text(
            json.dumps({"groups": found.groups, "syllables": found.syllables}, ensure_ascii=False), "utf-8"
        )
        return found

    def sentence(self, r: random.Random) -> Words:
        """Words of a paragraph from a random place on."""
        lines = r.choices([g[1] for g in self.groups], [g[0] for g in self.groups])[0]
        words = r.choice(lines).split()
        return words[r.randrange(len(words)) :] if r.random() < 0.75 else words

    def salad(self, r: random.Random) -> Words:
        """Syllables in no order: the net must read letters, not guess words."""
        words = r.choices(self.syllables, k=r.randint(1, 16))
        marks = ("", "", "", "", "", ",", ".", ";", ":")
        return [(w.capitalize() if r.random() < 0.15 else w) + r.choice(marks) for w in words]

    def glyphs(self, r: random.Random) -> Words:
        """Characters at random, letters with marks most of all."""
        pools = (charset.LETTERS, charset.CHARACTERS, tuple(charset.ASCII), tuple(charset.FORM_SIGNS))
        return [
            "".join(r.choices(r.choices(pools, (5, 3, 2, 0.7))[0], k=r.randint(1, 6))) for _ in range(r.randint(1, 9))
        ]

    def words(self, r: random.Random, length: int) -> Words:
        """Words of a line of about `length` characters."""
        kind = r.choices(("sentence", "phrase", "salad", "glyphs"), (50, 36, 10, 4))[0]
        out: Words = []
        while sum(map(len, out)) + len(out) < length:
            if kind == "sentence":
                out += self.sentence(r)
            elif kind == "phrase":
                out += wording.phrase(r).split()
                if r.random() < 0.4:
                    break
            else:
                out += self.salad(r) if kind == "salad" else self.glyphs(r)
        return self._cased(r, self._cut(out, length))

    @staticmethod
    def _cut(words: Words, length: int) -> Words:
        total = 0
        kept: Words = []
        for word in words:
            total += len(word) + 1
            if kept and total > length + 3:
                break
            kept.append(word[: length + 12])
        return kept

    @staticmethod
    def _cased(r: random.Random, words: Words) -> Words:
        chance = r.random()
        if chance < 0.18:
            return [w.upper() for w in words]
        if chance < 0.22:
            return [w.capitalize() for w in words]
        return words
