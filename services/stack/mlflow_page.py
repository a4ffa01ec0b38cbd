"""MLflow's server with its page's own telemetry switched off.

The server sends nothing once MLFLOW_DISABLE_TELEMETRY is set, but its page does not know: it
reads "MLflow collects usage data" until a person dismisses that in the browser. Both of the page's
switches are in the browser's storage; a script on the page sets them before the page reads them.
"""

from typing import Any

from covla.telemetry import switch_off

SCRIPT = (
    b"<script>localStorage.setItem('mlflow.settings.telemetry.enabled_v1','false');"
    b"localStorage.setItem('mlflow.telemetry.info.alert.dismissed_v1','true')</script>"
)
APP = "services.stack.mlflow_page:app"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """MLflow's ASGI application; `SCRIPT` is the first of the head of its page."""
    from mlflow.server.fastapi_app import app as whole

    if scope["type"] != "http" or scope["path"] != "/":
        await whole(scope, receive, send)
        return
    # A page that the browser has kept would be answered with 304, without the script.
    kept = (b"if-none-match", b"if-modified-since", b"range")
    scope = scope | {"headers": [(k, v) for k, v in scope["headers"] if k.lower() not in kept]}
    start: dict[str, Any] = {}
    body = b""

    async def collect(message: Any) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        whole_page = body.replace(b"<head>", b"<head>" + SCRIPT, 1) if body else body
        dropped = (b"content-length", b"etag", b"last-modified", b"cache-control")
        start["headers"] = [
            *((k, v) for k, v in start["headers"] if k.lower() not in dropped),
            (b"content-length", str(len(whole_page)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send(start)
        await send({"type": "http.response.body", "body": whole_page})

    await whole(scope, receive, collect)


def main() -> None:
    """`mlflow ARGUMENTS` with `app` in place of its own application.

    Its option for another application finds installed entry points only.
    """
    switch_off()  # before MLflow is imported
    from mlflow import server
    from mlflow.cli import cli

    build = server._build_uvicorn_command

    def ours(opts: str | None, host: str, port: int, workers: int, _: str, *more: Any) -> Any:
        return build(opts, host, port, workers, APP, *more)

    server._build_uvicorn_command = ours
    cli()


if __name__ == "__main__":
    main()
