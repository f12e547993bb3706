"""A detector plug-in (contract detector.kubervisor.io/v1) with nothing but the standard library: pods that are Ready for too long are bad."""

import json
import os
import signal
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {
    "name": "max-age",
    "version": "1.0.0",
    "parameters": {
        "type": "object",
        "properties": {"maxHours": {"type": "number", "exclusiveMinimum": 0, "default": 24}},
        "additionalProperties": False,
    },
}


def judge(pod, max_hours, now):
    verdict = {"pod": pod["name"], "uid": pod["uid"]}
    if "readySince" not in pod:
        return {**verdict, "outcome": "inconclusive", "reason": "Ready since when?"}
    ready_since = datetime.fromisoformat(pod["readySince"].replace("Z", "+00:00"))
    hours = (now - ready_since).total_seconds() / 3600
    return {
        **verdict,
        "outcome": "anomalous" if hours > max_hours else "ok",
        "score": max(0, hours / max_hours),
        "reason": f"Ready for {hours:.1f} h, limit {max_hours} h",
        "observed": hours,
        "limit": max_hours,
    }


class BadRequest(Exception):
    pass


def verdicts(body):
    try:
        request = json.loads(body)
        version, pods = request["apiVersion"], request["pods"]
        parameters = request.get("parameters", {})
        max_hours = parameters.get("maxHours", 24)
        if version != "detector.kubervisor.io/v1":
            raise BadRequest("apiVersion must be detector.kubervisor.io/v1")
        if set(parameters) - {"maxHours"} or type(max_hours) not in (int, float) or not max_hours > 0:
            raise BadRequest("parameters: only maxHours, a number above 0")
        now = datetime.now(timezone.utc)
        return {"verdicts": [judge(pod, max_hours, now) for pod in pods]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"the request is not of contract v1: {error!r}") from None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True
    timeout = 15  # of an idle connection; Kubervisor keeps one for 10 s

    def do_GET(self):
        answers = {"/healthz": {"status": "ok"}, "/v1/info": INFO}
        if self.path in answers:
            self.answer(200, answers[self.path])
        else:
            self.answer(404, {"error": "no such path"})

    def do_POST(self):
        # Read in any case: what is left of a body would be taken for the next request.
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/v1/verdicts":
            return self.answer(404, {"error": "no such path"})
        try:
            self.answer(200, verdicts(body))
        except BadRequest as error:
            self.answer(400, {"error": str(error)})

    def answer(self, status, value):
        body = json.dumps(value, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    address = (os.environ.get("HTTP_HOST", "0.0.0.0"), int(os.environ.get("HTTP_PORT", "8080")))
    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = False  # requests under way are answered before the end
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()
    server.server_close()
    print("stopped", flush=True)
