"""Plain FastAPI: a function a request, in FastAPI's thread pool."""

from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from bench.peers import answer, load, model_and_port, parse
from covla.errors import PostError

model, port = model_and_port()
predictor, settings = load(model)
app = FastAPI()


@app.post("/predict")
def predict(post: dict[str, Any]) -> JSONResponse:
    """One post a call."""
    try:
        (result,) = predictor.predict([parse(post, settings)])
    except PostError as error:
        result = error
    status, content = answer(result)
    return JSONResponse(content, status)


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
