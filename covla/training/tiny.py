"""Preset `tiny`: towers from scratch, with a tokenizer that is trained on the posts."""

from collections import Counter

from transformers import PreTrainedTokenizerFast

from covla.model.towers import Towers, tiny

WORDS = 2000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))


def tiny_towers(texts: list[str], seed: int) -> tuple[Towers, PreTrainedTokenizerFast]:
    """Random towers, and a WordPiece tokenizer of the words in `texts` that occur at least twice
    and of all their characters. The same for equal input: the trainers of `tokenizers` break ties
    by the order of a hash map, which differs from run to run."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word
        for text in texts
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    ranked = sorted(words, key=lambda word: (-words[word], word))
    letters = sorted({letter for word in words for letter in word})
    pieces = [
        *SPECIAL,
        *letters,
        *(f"##{letter}" for letter in letters),
        *(word for word in ranked[:WORDS] if words[word] > 1),
    ]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in SPECIAL[2:]]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMES)
    return tiny(len(vocabulary), seed), fast
