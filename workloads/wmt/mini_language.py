"""Two generated languages for MINI, with a grammar each, and sentences that say the same in both.

The first puts the verb last, the adverb first, adjectives before nouns, and a word for the place
behind its noun; its articles show gender, number and case, its verbs tense. The second puts the
verb between subject and object, the adverb last, adjectives behind nouns, and the place's word
before; its adjectives agree with classes of its own, its verbs with the subject's number, and tense
is a word of its own. Nouns of one gender in one language may be of any class in the other, so
agreement must be learned word by word. Names are the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_NOUNS, N_ADJECTIVES, N_VERBS, N_ADVERBS, N_PLACES, N_NAMES = 36, 14, 22, 6, 3, 10
N_GENDERS = 3
SYLLABLES = (
    ([*"bdfgklmrstz"], ["a", "e", "i", "o", "u", "ä", "ö", "ü"], ["", "", "n", "r", "s", "t"]),
    ([*"chjlmnpqvwy"], ["a", "e", "i", "o", "u", "ee", "oa"], ["", "", "l", "m", "x"]),
)
"""Beginnings, vowels and ends of each language's syllables."""
# Of the first language: articles by gender, endings by case (subject, object, place).
ARTICLES = (("der", "die", "das"), ("ein", "eine", "eins"))
CASES = ("", "n", "m")
PLURAL, TENSES = "en", ("", "te", "ge")
# Of the second: articles by number, endings of adjectives by class, words for tense.
ARTICLES_2 = (("the", "thes"), ("a", "some"))
CLASSES_2 = ("o", "il", "um")
PLURAL_2, VERB_PLURAL_2, TENSES_2 = "s", "ay", ("", "did", "shall")
NEGATION, NEGATION_2 = "nicht", "not"
# Places of what a clause is made of, in the order of each language.
ROLES = ("adverb", "subject", "object", "place", "negation", "tense", "verb", "stop")
ROLES_2 = ("subject", "tense", "negation", "verb", "object", "place", "adverb", "stop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lexicon:
    """The words of both languages: (first, second) of every meaning."""

    nouns: list[tuple[str, str]]
    genders: list[tuple[int, int]]
    """Of each noun: its gender in the first language, its class in the second."""
    adjectives: list[tuple[str, str]]
    verbs: list[tuple[str, str]]
    adverbs: list[tuple[str, str]]
    places: list[tuple[str, str]]
    names: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A word of a sentence in both languages; empty where a language does without it."""

    first: str
    second: str
    keys: tuple[tuple[int, int], tuple[int, int]]
    """Its place in each language: of the constituent, and within."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A sentence as words."""

    words: list[Word]

    def first(self) -> str:
        """Give it in the first language."""
        ordered = sorted(self.words, key=lambda word: word.keys[0])
        return " ".join(word.first for word in ordered if word.first)

    def second(self) -> str:
        """Give it in the second language."""
        ordered = sorted(self.words, key=lambda word: word.keys[1])
        return " ".join(word.second for word in ordered if word.second)

    def word_for_word(self) -> str:
        """Give the second language's words, rightly inflected, in the first language's order."""
        ordered = sorted(self.words, key=lambda word: word.keys[0])
        return " ".join(word.second for word in ordered if word.second)


def make_lexicon(rng: np.random.Generator) -> Lexicon:
    """Draw the words, all different."""
    used: set[str] = set()

    def word(language: int) -> str:
        starts, vowels, ends = SYLLABLES[language]
        while True:
            n_syllables = int(rng.integers(1, 3))
            drawn = "".join(
                part[int(rng.integers(len(part)))]
                for _ in range(n_syllables)
                for part in (starts, vowels, ends)
            )
            if len(drawn) > 2 and drawn not in used:
                used.add(drawn)
                return drawn

    def pairs(n: int) -> list[tuple[str, str]]:
        return [(word(0), word(1)) for _ in range(n)]

    return Lexicon(
        nouns=[(first.capitalize(), second) for first, second in pairs(N_NOUNS)],
        genders=[tuple(rng.integers(0, N_GENDERS, 2).tolist()) for _ in range(N_NOUNS)],
        adjectives=pairs(N_ADJECTIVES),
        verbs=pairs(N_VERBS),
        adverbs=pairs(N_ADVERBS),
        places=pairs(N_PLACES),
        names=[word(0).capitalize() for _ in range(N_NAMES)],
    )


def draw_sentence(lexicon: Lexicon, rng: np.random.Generator) -> Sentence:
    """Draw a sentence: a subject and a verb, mostly an object, sometimes place, adverb and not."""
    words: list[Word] = []

    def add(role: str, first: str, second: str, within: tuple[int, int] = (0, 0)) -> None:
        keys = (ROLES.index(role), within[0]), (ROLES_2.index(role), within[1])
        words.append(Word(first=first, second=second, keys=keys))

    def noun_phrase(role: str, case: int) -> bool:
        """Add a name, or article, adjective and noun; says whether it is plural."""
        if rng.random() < 0.2:
            name = lexicon.names[int(rng.integers(N_NAMES))]
            add(role, name, name, (1, 1))
            return False
        is_plural, is_some = rng.random() < 0.4, int(rng.random() < 0.4)
        which = int(rng.integers(N_NOUNS))
        gender, class_2 = lexicon.genders[which]
        ending = PLURAL if is_plural else ""
        article = ARTICLES[is_some][gender] + CASES[case] + ("e" if is_plural else "")
        add(role, article, ARTICLES_2[is_some][is_plural], (1, 1))
        if rng.random() < 0.4:
            first, second = lexicon.adjectives[int(rng.integers(N_ADJECTIVES))]
            add(role, first + ending, second + CLASSES_2[class_2], (2, 3))
        first, second = lexicon.nouns[which]
        add(role, first + ending, second + (PLURAL_2 if is_plural else ""), (3, 2))
        return is_plural

    is_plural = noun_phrase("subject", 0)
    if rng.random() < 0.8:
        noun_phrase("object", 1)
    if rng.random() < 0.3:
        noun_phrase("place", 2)
        add("place", *lexicon.places[int(rng.integers(N_PLACES))], (4, 0))
    if rng.random() < 0.3:
        add("adverb", *lexicon.adverbs[int(rng.integers(N_ADVERBS))])
    if rng.random() < 0.2:
        add("negation", NEGATION, NEGATION_2)
    tense = int(rng.integers(len(TENSES)))
    first, second = lexicon.verbs[int(rng.integers(N_VERBS))]
    add("verb", first + TENSES[tense], second + (VERB_PLURAL_2 if is_plural else ""))
    add("tense", "", TENSES_2[tense])
    add("stop", ".", ".")
    return Sentence(words=words)
