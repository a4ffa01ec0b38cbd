"""A teacher that reads text and image in one prompt: decoder-only image-text-to-text models."""

from collections.abc import Sequence
from typing import Any

import torch

from covla.arrays import FloatArray
from covla.errors import CovlaError
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings
from covla.training.teachers import prompt
from covla.training.teachers.pretrained import load_pretrained
from covla.training.teachers.resolve import SUPPORTED, Teacher


class VisionLanguage:
    """One forward over a prompt with text and image and without a label; the mean of the last
    hidden layer over all tokens of the prompt. No logits are computed and nothing is generated."""

    def __init__(self, teacher: Teacher, settings: Settings) -> None:
        from transformers import AutoModelForImageTextToText

        self.settings, self.name = settings, teacher.name
        whole, self.processor = load_pretrained(AutoModelForImageTextToText, teacher, settings)
        self.model: Any = getattr(whole, "model", None)
        if self.model is None or not hasattr(self.processor, "tokenizer"):
            raise CovlaError(
                f"teacher: {teacher.name} ({whole.config.model_type}) has no base model or no "
                "tokenizer of its own",
                hint=SUPPORTED,
            )
        tokenizer = self.processor.tokenizer
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # masked, so any token will do
        self.bos = tokenizer.bos_token
        self.control = prompt.control_tokens(tokenizer)
        pictures = self.processor.image_processor
        self.one_tile = {name: False for name in prompt.ONE_TILE if hasattr(pictures, name)}

    def prompt(self, item: PreparedPost) -> str:
        """What the model reads of a post, with the place of the image."""
        asked = prompt.question(prompt.plain(item.text, self.control))
        if getattr(self.processor, "chat_template", None):
            content = [{"type": "text", "text": asked}]
            if item.image is not None:
                content.insert(0, {"type": "image"})
            turn: str = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
            return turn
        if item.image is None:
            return asked
        return f"{self.processor.image_token}\n{asked}"

    def read(self, items: Sequence[PreparedPost]) -> FloatArray:
        """n x d. All of `items` have an image, or none has.

        Raises:
            CovlaError: the model takes its prompt in a way of its own.
        """
        prompts = [self.prompt(item) for item in items]
        pictures = [[prompt.picture(item, self.settings)] for item in items]
        inputs = self.processor(
            text=prompts,
            images=None if items[0].image is None else pictures,
            padding=True,
            # After the text: causal attention then never sees padding, whatever the positions.
            padding_side="right",
            add_special_tokens=not (self.bos and prompts[0].startswith(self.bos)),
            return_tensors="pt",
            **({} if items[0].image is None else self.one_tile),
        ).to(self.model.device, self.model.dtype)
        with torch.inference_mode():
            hidden = self.model(**inputs, use_cache=False).last_hidden_state
        mask = inputs["attention_mask"].to(hidden.device)
        if hidden.shape[:2] != mask.shape:
            raise CovlaError(
                f"teacher: {self.name} answers {hidden.shape[1]} vectors to {mask.shape[1]} tokens",
                hint=SUPPORTED,
            )
        weight = mask[..., None].float()
        vectors: FloatArray = ((hidden.float() * weight).sum(1) / weight.sum(1)).cpu().numpy()
        return vectors
