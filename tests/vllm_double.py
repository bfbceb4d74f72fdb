"""A real HTTP server that speaks as vLLM's completions address does: it unpacks embeddings and runs transformers on them, token by token.

Written from vLLM's own protocol and apart from our side of it, so that the two are checked against each other.
"""

import base64
import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch


class Double(ThreadingHTTPServer):
    """Serves `causal`; what a test may change or look at are attributes.

    Attributes:
        asked: Bodies of completions, in order of arrival.
        status, said: Answered instead of a completion if `status` is not 200.
        breaks: After that many tokens the connection is closed ("closed"), or tells an error ("error").
        go: Waited for before every token.
        lost: Set once a client went away in the middle of a reply.
    """

    daemon_threads = True

    def __init__(self, causal, key=""):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.causal, self.key = causal, key
        self.asked = []
        self.status, self.said = 200, ""
        self.breaks = None
        self.models = '{"object": "list", "data": [{"id": "toy", "object": "model"}]}'
        self.go = threading.Event()
        self.go.set()
        self.begun, self.lost = threading.Event(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def doubled(causal, key=""):
    with Double(causal, key) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.go.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer(200, self.server.models) if self._allowed() and self.path == "/v1/models" else self._answer(
            404, '{"detail": "Not Found"}'
        )

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self._allowed():
            return self._answer(401, '{"error": "Unauthorized"}')
        if self.server.status != 200:
            return self._answer(self.server.status, self.server.said)
        self.server.asked.append(body)
        embeds = torch.load(io.BytesIO(base64.b64decode(body["prompt_embeds"], validate=True)), weights_only=True)
        if embeds.ndim != 2 or embeds.shape[1] != self.server.causal.config.hidden_size:
            return self._answer(
                400, json.dumps({"error": {"message": f"hidden size {embeds.shape[-1]}", "type": "BadRequestError", "code": 400}})
            )
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for n, (tokens, logprobs, reason) in enumerate(_steps(self.server.causal, embeds, body)):
                self.server.begun.set()
                if n == self.server.breaks:
                    return None
                if self.server.breaks == -1 and n == 2:
                    self._event({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}})
                    return None
                self.server.go.wait(60)
                choice = {
                    "index": 0,
                    "text": "?\u2028",
                    "logprobs": logprobs,
                    "finish_reason": reason,
                    "stop_reason": None,
                    "token_ids": tokens,
                }
                self._event({"id": "cmpl-1", "object": "text_completion", "model": "toy", "choices": [choice]})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.lost.set()
        return None

    def _allowed(self):
        return not self.server.key or self.headers.get("authorization") == f"Bearer {self.server.key}"

    def _event(self, data):
        self.wfile.write(f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode())  # as vLLM does
        self.wfile.flush()

    def _answer(self, status, text):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@torch.inference_mode()
def _steps(causal, embeds, body):
    """Tokens of a reply with log-probabilities and, at the end, the reason."""
    generator = torch.Generator().manual_seed(body.get("seed") or 0)
    written, cache, grow = [], None, embeds[None].to(causal.dtype)
    while True:
        out = causal(inputs_embeds=grow, past_key_values=cache, use_cache=True)
        cache, raw = out.past_key_values, out.logits[0, -1].float()
        scores = raw.clone()
        for token in set(written):
            scores[token] = scores[token] * body["repetition_penalty"] if scores[token] < 0 else scores[token] / body["repetition_penalty"]
        if body["temperature"] > 0:
            token = int(torch.multinomial((scores / body["temperature"]).softmax(-1), 1, generator=generator))
        else:
            token = int(scores.argmax())
        written.append(token)
        told = None
        if body.get("logprobs"):
            values = raw.log_softmax(-1)
            top = dict.fromkeys([token, *values.topk(body["logprobs"]).indices.tolist()])  # the drawn one is always told
            told = {"tokens": [f"token_id:{token}"], "token_logprobs": [float(values[token])], "text_offset": [0]}
            told["top_logprobs"] = [{f"token_id:{t}": float(values[t]) for t in top}]
        stopped = token in body["stop_token_ids"]
        reason = "stop" if stopped else "length" if len(written) == body["max_tokens"] else None
        yield [token], told, reason
        if reason:
            return
        grow = causal.get_input_embeddings()(torch.tensor([[token]]))
