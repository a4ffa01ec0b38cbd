"""LitServe with its batching: a process for HTTP and one for the model."""

from typing import Any

import litserve
from fastapi import HTTPException

from bench.peers import answer, load, model_and_port, parse
from covla.errors import PostError


class Places(litserve.LitAPI):  # type: ignore[misc]
    """Batches of 32, or of what came within 10 ms."""

    def setup(self, device: str) -> None:
        del device
        self.predictor, self.settings = load(model_and_port()[0])

    def decode_request(self, request: dict[str, Any]) -> Any:
        try:
            return parse(request, self.settings)
        except PostError as error:
            return error

    def predict(self, batch: list[Any]) -> list[Any]:
        good = [item for item in batch if not isinstance(item, PostError)]
        results = iter(self.predictor.predict(good))
        return [item if isinstance(item, PostError) else next(results) for item in batch]

    def encode_response(self, result: Any) -> dict[str, Any]:
        status, content = answer(result)
        if status != 200:
            raise HTTPException(status, content)
        return content


if __name__ == "__main__":
    api = Places(max_batch_size=32, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=model_and_port()[1], log_level="warning", generate_client_file=False
    )
