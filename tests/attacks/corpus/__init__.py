"""Hostile candidates, by family. Each is data: what it tries, its code, and the outcomes that are right."""

from tests.attacks.corpus.host import HOST
from tests.attacks.corpus.judge import JUDGE
from tests.attacks.corpus.learning import LEARNING
from tests.attacks.corpus.resources import RESOURCES
from tests.attacks.corpus.words import WORDS

ATTACKS = (*HOST, *RESOURCES, *JUDGE, *LEARNING, *WORDS)
