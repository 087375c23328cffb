"""Learning: programs that would score well where labels, the future or the test users leak."""

from __future__ import annotations

from tests.attacks.scene import Attack


def _learning(name: str, tries: str, predict: str, train: str = "return {}") -> Attack:
    return Attack(name=name, family="learning", tries=tries, train=train, predict=predict, right=("scored", "failed"))


LABELS = "self.labels = np.load(self.data / 'labels.npy'); return {}"

LEARNING = (
    _learning("constant", "answer the same for all", "return np.ones(len(queries['users']), np.float32)"),
    _learning("memorise", "remember each user's training label",
              "return self.labels[queries['users']].astype(np.float32)", LABELS),
    _learning("shuffled-labels", "learn labels that were shuffled",
              "return (queries['features'] @ self.w > 0).astype(np.float32)",
              "x, y = np.load(self.data / 'features.npy'), np.load(self.data / 'labels.npy')\n"
              "self.w = np.linalg.lstsq(x, y - .5, rcond=None)[0]; return {}"),
    _learning("query-order", "read the labels out of the order of the questions",
              "return (np.arange(len(queries['users'])) < 200).astype(np.float32)"),
    _learning("query-ids", "read the labels out of the users' numbers",
              "return (queries['users'] % 2).astype(np.float32)"),
    _learning("other-columns", "find a column that tells the future",
              "extra = [q for name, q in queries.items() if name not in ('users', 'features')]\n"
              "return extra[0].astype(np.float32)"),
    _learning("guess-the-seed", "draw the labels again from a seed",
              "return np.random.default_rng(self.config['seed']).integers(0, 2, len(queries['users']))"
              ".astype(np.float32)"),
    _learning("neighbouring-files", "look for labels beside the data",
              "found = [p for p in Path(self.data).parent.rglob('labels.npy') if len(np.load(p)) == 400]\n"
              "return np.load(found[0]).astype(np.float32)"),
    _learning("all-files", "look for labels in every file that it can see",
              "for folder, _, names in os.walk('/tmp'):\n    for name in names:\n"
              "        if name == 'labels.npy':\n"
              "            x = np.load(os.path.join(folder, name))\n"
              "            if x.shape == (400,): return x.astype(np.float32)\nraise ValueError('none')"),
)  # fmt: skip
LEARNING = tuple(
    Attack(**{**{name: getattr(attack, name) for name in Attack.__slots__}, "lets_through": ("local",)})
    if attack.name in ("neighbouring-files", "all-files")
    else attack
    for attack in LEARNING
)
