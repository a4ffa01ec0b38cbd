"""Ray Serve with its batching: a proxy for HTTP and one replica for the model."""

import signal
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from bench.peers import answer, load, model_and_port, parse
from covla.errors import PostError


@serve.deployment(num_replicas=1, max_ongoing_requests=512, ray_actor_options={"num_cpus": 1})
class Places:
    """Batches of 32, or of what came within 10 ms."""

    def __init__(self, model: str) -> None:
        self.predictor, self.settings = load(model)

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.01)  # type: ignore[untyped-decorator]
    async def predict(self, posts: list[Any]) -> list[Any]:
        return list(self.predictor.predict(posts))

    async def __call__(self, request: Request) -> JSONResponse:
        try:
            result = await self.predict(parse(await request.json(), self.settings))
        except PostError as error:
            result = error
        status, content = answer(result)
        return JSONResponse(content, status)


if __name__ == "__main__":
    model, port = model_and_port()
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    deployment: Any = Places
    serve.run(deployment.bind(model), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
