"""Preset `tiny`: towers from scratch, with a tokenizer that is trained on the posts."""

from transformers import PreTrainedTokenizerFast

from covla.model.towers import Towers, tiny

VOCABULARY = 2000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))


def tiny_towers(texts: list[str], seed: int) -> tuple[Towers, PreTrainedTokenizerFast]:
    """Random towers and a WordPiece tokenizer of the words in `texts`; the same for equal input."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMES)
    return tiny(tokenizer.get_vocab_size(), seed), fast
