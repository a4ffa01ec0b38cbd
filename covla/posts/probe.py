"""A post that is known to be good: where it fails too, the machine is to blame and not a post."""

import base64
import secrets

import cv2
import numpy as np

from covla.schemas.post import Image, SocialPost
from covla.times import now


def probe_post() -> SocialPost:
    """A new text and a new image at each call, so that no answer comes from a memory."""
    pixels = np.frombuffer(secrets.token_bytes(16 * 16 * 3), np.uint8).reshape(16, 16, 3)
    data = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    text = f"A quiet #place by the water {secrets.token_hex(4)}"
    return SocialPost(post_id="probe", created_at=now(), text=text, image=Image(data=data))
