"""Tiny random checkpoints of real families, saved as `save_pretrained` saves the real ones.

Tokenizers and processors are built here, nothing is fetched; the classes are transformers' own.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEXT: dict[str, Any] = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 2048,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 56, "patch_size": 14,
}  # fmt: skip
CHATML = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def tokenizer(**special: str) -> Any:
    """Byte-level, without merges; `special` are the family's own tokens by attribute."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<pad>", "<bos>", "<eos>", "<unk>", "<|turn|>", "<|end|>", *special.values()]
    vocabulary = {token: i for i, token in enumerate([*names, *alphabet])}
    core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast = tf.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>",
        unk_token="<unk>", extra_special_tokens=special,
    )  # fmt: skip
    fast.add_tokens(["<|turn|>", "<|end|>"], special_tokens=True)
    return fast


def _save(folder: Path, config: Any, kind: Any, processor: Any) -> Path:
    torch.manual_seed(0)
    model = kind(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():  # Gemma 3's projection starts at zero
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _template(picture: str) -> str:
    return CHATML.replace("IMAGE", picture)


def qwen3_vl(folder: Path) -> Path:
    words = tokenizer(
        image_token="<|image_pad|>", video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>", vision_end_token="<|vision_end|>",
    )  # fmt: skip
    text = TEXT | {"head_dim": 16, "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2],
        "mrope_interleaved": True}}  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 16,
        "out_hidden_size": 32, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    config = tf.Qwen3VLConfig(text_config=text, vision_config=vision, **_ids(words))
    small = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    processor = tf.Qwen3VLProcessor(
        tf.Qwen2VLImageProcessor(patch_size=16, size=small), words,
        tf.Qwen3VLVideoProcessor(patch_size=16),
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    return _save(folder, config, tf.Qwen3VLForConditionalGeneration, processor)


def qwen2_5_vl(folder: Path) -> Path:
    words = tokenizer(
        image_token="<|image_pad|>", video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>", vision_end_token="<|vision_end|>",
    )  # fmt: skip
    text = TEXT | {"rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}}  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": 32, "window_size": 56, "fullatt_block_indexes": [0],
    }  # fmt: skip
    config = tf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_ids(words))
    small = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    processor = tf.Qwen2_5_VLProcessor(
        tf.Qwen2VLImageProcessor(size=small), words, tf.Qwen2VLVideoProcessor(),
        chat_template=_template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    return _save(folder, config, tf.Qwen2_5_VLForConditionalGeneration, processor)


def _ids(words: Any) -> dict[str, int]:
    names = ("image_token", "video_token", "vision_start_token", "vision_end_token")
    return {f"{n}_id": words.convert_tokens_to_ids(getattr(words, n)) for n in names}


def idefics3(folder: Path) -> Path:
    words = tokenizer(
        image_token="<image>", fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>", end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    processor = tf.Idefics3Processor(
        tf.Idefics3ImageProcessor(
            size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
        ),
        words, image_seq_len=4, chat_template=_template("<image>"),
    )  # fmt: skip
    config = tf.Idefics3Config(
        text_config=TEXT | {"model_type": "llama"}, vision_config=VISION, scale_factor=2,
        image_token_id=processor.image_token_id, pad_token_id=0,
    )  # fmt: skip
    return _save(folder, config, tf.Idefics3ForConditionalGeneration, processor)


def smolvlm(folder: Path) -> Path:
    words = tokenizer(
        image_token="<image>", fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>", end_of_utterance_token="<end_of_utterance>",
        video_token="<video>",
    )  # fmt: skip
    processor = tf.SmolVLMProcessor(
        tf.SmolVLMImageProcessor(size={"longest_edge": 112}, max_image_size={"longest_edge": 56}),
        words,
        tf.SmolVLMVideoProcessor(size={"longest_edge": 56}, max_image_size={"longest_edge": 56}),
        image_seq_len=4, chat_template=_template("<image>"),
    )  # fmt: skip
    config = tf.SmolVLMConfig(
        text_config=TEXT | {"model_type": "llama"}, vision_config=VISION, scale_factor=2,
        image_token_id=processor.image_token_id, pad_token_id=0,
    )  # fmt: skip
    return _save(folder, config, tf.SmolVLMForConditionalGeneration, processor)


def gemma3(folder: Path) -> Path:
    words = tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    processor = tf.Gemma3Processor(
        tf.Gemma3ImageProcessor(size={"height": 56, "width": 56}), words, image_seq_length=4,
        # As Gemma's, it begins with the token that the tokenizer adds as well.
        chat_template="{{ bos_token }}" + _template("<start_of_image>"),
    )  # fmt: skip
    text = TEXT | {"head_dim": 16, "sliding_window": 16, "sliding_window_pattern": 2}
    config = tf.Gemma3Config(
        text_config=text, vision_config=VISION, mm_tokens_per_image=4,
        boi_token_index=words.boi_token_id, eoi_token_index=words.eoi_token_id,
        image_token_index=words.image_token_id,
    )  # fmt: skip
    return _save(folder, config, tf.Gemma3ForConditionalGeneration, processor)


def internvl(folder: Path) -> Path:
    words = tokenizer(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )  # fmt: skip
    processor = tf.InternVLProcessor(
        tf.GotOcr2ImageProcessor(size={"height": 56, "width": 56}), words,
        tf.InternVLVideoProcessor(size={"height": 56, "width": 56}),
        image_seq_length=4, chat_template=_template("<IMG_CONTEXT>\n"),
    )  # fmt: skip
    config = tf.InternVLConfig(
        text_config=TEXT | {"model_type": "qwen2"}, vision_config=VISION, image_seq_length=4,
        image_token_id=words.context_image_token_id,
    )  # fmt: skip
    return _save(folder, config, tf.InternVLForConditionalGeneration, processor)


def lfm2_vl(folder: Path) -> Path:
    words = tokenizer(
        image_token="<image>", image_start_token="<|image_start|>",
        image_end_token="<|image_end|>", image_thumbnail_token="<|img_thumbnail|>",
    )  # fmt: skip
    processor = tf.Lfm2VlProcessor(
        tf.Lfm2VlImageProcessor(min_image_tokens=4, max_image_tokens=16, tile_size=64), words,
        chat_template="{{ bos_token }}" + _template("<image>"),
    )  # fmt: skip
    text = TEXT | {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}
    vision = {k: v for k, v in VISION.items() if k != "image_size"} | {
        "model_type": "siglip2_vision_model", "patch_size": 16, "num_patches": 16,
    }  # fmt: skip
    config = tf.Lfm2VlConfig(
        text_config=text, vision_config=vision, image_token_id=words.image_token_id,
        projector_hidden_size=32,
    )  # fmt: skip
    return _save(folder, config, tf.Lfm2VlForConditionalGeneration, processor)


DUAL_TEXT = {k: v for k, v in TEXT.items() if k != "num_key_value_heads"} | {
    "max_position_embeddings": 24
}


def clip(folder: Path) -> Path:
    config = tf.CLIPConfig(
        text_config=DUAL_TEXT | {"eos_token_id": 2}, vision_config=VISION, projection_dim=24
    )
    small = {"shortest_edge": 56}
    images = tf.CLIPImageProcessor(size=small, crop_size={"height": 56, "width": 56})
    return _save(folder, config, tf.CLIPModel, tf.CLIPProcessor(images, _closed(tokenizer())))


def siglip(folder: Path) -> Path:
    """With its own kind of tokenizer, a SentencePiece model."""
    import sentencepiece

    words = ["leg day at the gym", "coffee by the sea", "only words few and many of them"] * 20
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words), model_writer=content, vocab_size=60, minloglevel=2,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False,
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(content.getvalue())
    text = DUAL_TEXT | {"eos_token_id": 1}
    config = tf.SiglipConfig(text_config=text, vision_config=VISION)
    processor = tf.SiglipProcessor(
        tf.SiglipImageProcessor(size={"height": 56, "width": 56}),
        tf.SiglipTokenizer(str(folder / "spiece.model")),
    )
    return _save(folder, config, tf.SiglipModel, processor)


def siglip2(folder: Path) -> Path:
    """NaFlex: patches of images of any aspect, with a mask and their shapes."""
    vision = {k: v for k, v in VISION.items() if k != "image_size"} | {
        "patch_size": 16, "num_patches": 16,
    }  # fmt: skip
    config = tf.Siglip2Config(text_config=DUAL_TEXT, vision_config=vision)
    images = tf.Siglip2ImageProcessor(patch_size=16, max_num_patches=16)
    words = _closed(tokenizer())
    return _save(folder, config, tf.Siglip2Model, tf.Siglip2Processor(images, words))


def _closed(words: Any) -> Any:
    """The same tokenizer, ending every text as CLIP's does."""
    from tokenizers import processors

    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[
            (token, words.convert_tokens_to_ids(token)) for token in ("<bos>", "<eos>")
        ],
    )
    return words


VISION_LANGUAGE: dict[str, Callable[[Path], Path]] = {
    build.__name__: build
    for build in (qwen3_vl, qwen2_5_vl, smolvlm, idefics3, internvl, gemma3, lfm2_vl)
}
DUAL_ENCODER = {build.__name__: build for build in (clip, siglip, siglip2)}
FAMILIES = VISION_LANGUAGE | DUAL_ENCODER
