"""A provider of OAuth 1.0a on python3-oauthlib: the three legs, and a receiver of signed requests at any other path.

The question is "url"; the answer is where the provider listens. It keeps everything in memory.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import ascii_letters, digits
from urllib.parse import parse_qs, urlsplit

try:
    from oauthlib.oauth1 import RequestValidator, WebApplicationServer
except ImportError:
    print("MISSING python3-oauthlib", flush=True)
    sys.exit()

CALLBACKS = ["https://app.example/callback?tenant=1", "oob"]
CONSUMER, CONSUMER_SECRET = "consumer-key", "consumer&secret+%25="
FORM = "application/x-www-form-urlencoded"

pending = {}  # request tokens
granted = {"access-token": {"secret": "access/secret&", "user": "alice"}}
nonces = set()
lock = threading.Lock()


class Validator(RequestValidator):
    enforce_ssl = False
    safe_characters = set(ascii_letters + digits + "-_")
    client_key_length = request_token_length = access_token_length = (5, 100)
    nonce_length = verifier_length = (5, 100)
    timestamp_lifetime = 60
    dummy_client, dummy_request_token, dummy_access_token = "no-consumer", "no-request-token", "no-access-token"

    def get_client_secret(self, key, request):
        return CONSUMER_SECRET

    def get_request_token_secret(self, key, token, request):
        return pending.get(token, {"secret": "none"})["secret"]

    def get_access_token_secret(self, key, token, request):
        return granted.get(token, {"secret": "none"})["secret"]

    def get_default_realms(self, key, request):
        return []

    def get_realms(self, token, request):
        return []

    def get_redirect_uri(self, token, request):
        return pending[token]["callback"]

    def validate_client_key(self, key, request):
        return key == CONSUMER

    def validate_request_token(self, key, token, request):
        return token in pending

    def validate_access_token(self, key, token, request):
        return token in granted

    def validate_timestamp_and_nonce(self, key, timestamp, nonce, request, request_token=None, access_token=None):
        use = (key, timestamp, nonce, request_token or access_token)
        with lock:
            if use in nonces:
                return False
            nonces.add(use)
        return True

    def validate_redirect_uri(self, key, uri, request):
        return uri in CALLBACKS

    def validate_requested_realms(self, key, realms, request):
        return True

    def validate_realms(self, key, token, request, uri=None, realms=None):
        return True

    def validate_verifier(self, key, token, verifier, request):
        return pending.get(token, {}).get("verifier") == verifier

    def verify_request_token(self, token, request):
        return token in pending

    def verify_realms(self, token, realms, request):
        return True

    def invalidate_request_token(self, key, token, request):
        pending.pop(token, None)

    def save_request_token(self, token, request):
        pending[token["oauth_token"]] = {"secret": token["oauth_token_secret"], "callback": request.redirect_uri}

    def save_verifier(self, token, verifier, request):
        pending[token]["verifier"] = verifier["oauth_verifier"]

    def save_access_token(self, token, request):
        granted[token["oauth_token"]] = {"secret": token["oauth_token_secret"], "user": "bob"}


provider = WebApplicationServer(Validator())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=None, kind=FORM):
        body = (body or "").encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            if name.lower() != "content-type":
                self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        uri, headers, path = f"http://{self.headers['Host']}{self.path}", dict(self.headers), urlsplit(self.path).path
        form = body if (self.headers.get("Content-Type") or "").startswith(FORM) else ""
        if path == "/oauth/request_token":
            headers, body, status = provider.create_request_token_response(uri, self.command, form, headers)
            return self.answer(status, body, headers)
        if path == "/oauth/access_token":
            headers, body, status = provider.create_access_token_response(uri, self.command, form, headers)
            return self.answer(status, body, headers)
        if path == "/oauth/authorize":  # whoever comes consents
            if parse_qs(urlsplit(self.path).query).get("oauth_token", [""])[0] not in pending:
                return self.answer(400, "there is no such request token")
            headers, body, status = provider.create_authorization_response(uri, "POST", "", headers, [], {})
            return self.answer(status, body, headers)
        valid, request = provider.validate_protected_resource_request(uri, self.command, form, headers, realms=[])
        if not valid:
            return self.answer(401, json.dumps({"errors": [{"code": 32, "message": "Could not authenticate you."}]}), kind="application/json")
        told = {"user": granted[request.resource_owner_key]["user"], "method": request.signature_method, "body": body}
        return self.answer(200, json.dumps({"data": [{"id": "1", "text": json.dumps(told)}], "meta": {}}), kind="application/json")

    do_GET = do_POST = do_PUT = do_DELETE = serve


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("READY", flush=True)
for line in sys.stdin:
    print("ANSWER", json.loads(line)[0], json.dumps(f"http://127.0.0.1:{server.server_address[1]}"), flush=True)
