"""An OAuth 2.0 authorization server for the tests, made with idpyoidc.

It listens on loopback, on a port of the system's choice that is the one line on its standard output.
Whoever comes to /authorization is logged in as diana at the client `web`; /token hands out tokens for
her codes, and exchanges tokens (RFC 8693) for the client `gateway`; /introspection tells the client
`orders` what a token for it is worth (RFC 7662). idpyoidc decides all of that. This file configures it
and carries requests to it.
"""

import logging
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptojwt.exception import JWKESTException
from idpyoidc.message.oauth2 import ResponseMessage
from idpyoidc.server import Server
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError

ISSUER = "https://auth.example.com"
CALLBACK = "https://web.example.com/callback"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
CLIENT_AUTHENTICATION = {"client_authn_method": ["client_secret_basic", "client_secret_post"]}
SIGNATURE_KEYS = {"key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]}
SESSION_KEYS = {
    "key_defs": [
        {"type": "OCT", "use": ["enc"], "kid": "password"},
        {"type": "OCT", "use": ["enc"], "kid": "salt"},
    ]
}
# Parameters that idpyoidc wants as lists.
LISTS = {"audience", "resource"}


def configuration():
    """What tokens there are, and who may trade which for what."""
    oauth2 = "idpyoidc.server.oauth2"
    exchange = {
        "subject_token_types_supported": [ACCESS_TOKEN],
        "requested_token_types_supported": [ACCESS_TOKEN],
        "policy": {
            "": {
                "function": f"{oauth2}.token_helper.validate_token_exchange_policy",
                "kwargs": {
                    "audience": ["orders"],
                    "resource": ["https://orders.example.com/"],
                    "scope": ["read", "write"],
                },
            }
        },
    }
    grants = {
        "authorization_code": {"class": f"{oauth2}.token_helper.access_token.AccessTokenHelper"},
        EXCHANGE: {
            "class": f"{oauth2}.token_helper.token_exchange.TokenExchangeHelper",
            "kwargs": exchange,
        },
    }
    usage = {
        "authorization_code": {"supports_minting": ["access_token"], "max_usage": 1},
        "access_token": {"supports_minting": ["access_token"], "expires_in": 600},
    }
    return {
        "issuer": ISSUER,
        "key_conf": SIGNATURE_KEYS,
        "httpc_params": {"verify": True, "timeout": 1},
        "authentication": {
            "anyone": {
                "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:InternetProtocolPassword",
                "class": "idpyoidc.server.user_authn.user.NoAuthn",
                "kwargs": {"user": "diana"},
            }
        },
        "authz": {
            "class": "idpyoidc.server.authz.AuthzHandling",
            "kwargs": {"grant_config": {"usage_rules": usage, "expires_in": 3600}},
        },
        "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {"diana": {}}}},
        "scopes_to_claims": {"read": [], "write": []},
        "session_params": {"encrypter": {"kwargs": {"keys": SESSION_KEYS, "iterations": 1}}},
        "token_handler_args": {
            "key_conf": SIGNATURE_KEYS,
            "code": {"lifetime": 600},
            "token": {
                "class": "idpyoidc.server.token.jwt_token.JWTToken",
                "kwargs": {"lifetime": 600},
            },
        },
        "endpoint": {
            "authorization": {
                "path": "authorization",
                "class": f"{oauth2}.authorization.Authorization",
                "kwargs": {},
            },
            "token": {
                "path": "token",
                "class": f"{oauth2}.token.Token",
                "kwargs": {**CLIENT_AUTHENTICATION, "grant_types_helpers": grants},
            },
            "introspection": {
                "path": "introspection",
                "class": f"{oauth2}.introspection.Introspection",
                "kwargs": CLIENT_AUTHENTICATION,
            },
        },
    }


def client(name, grants, scopes):
    """A client; its secret is made of its name."""
    return {
        "client_secret": f"{name}-secret",
        "client_salt": name,
        "redirect_uris": [(CALLBACK, None)],
        "response_types_supported": ["code"],
        "grant_types_supported": grants,
        "allowed_scopes": scopes,
    }


def start():
    """The server, with its clients."""
    server = Server(ASConfiguration(conf=configuration()))
    server.context.cdb["web"] = client("web", ["authorization_code"], ["read", "write"])
    server.context.cdb["gateway"] = client("gateway", [EXCHANGE], ["read"])
    server.context.cdb["orders"] = client("orders", [], [])
    return server


class Carrier(BaseHTTPRequestHandler):
    """HTTP on one side, idpyoidc on the other."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.carry(urlsplit(self.path).query)

    def do_POST(self):
        content_type = self.headers.get("content-type", "")
        content = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if content_type != "application/x-www-form-urlencoded":
            self.refuse(400, "invalid_request", f"content of type {content_type!r}")
        else:
            self.carry(content)

    def carry(self, form):
        """Has the endpoint of the path answer."""
        endpoint = self.server.oauth.get_endpoint(urlsplit(self.path).path.strip("/"))
        if endpoint is None:
            return self.refuse(404, "invalid_request", "there is no such endpoint")
        fields = parse_qs(form, strict_parsing=True, errors="strict")
        fields = {name: list_or_one(name, values) for name, values in fields.items()}
        http_info = {"headers": {name.lower(): value for name, value in self.headers.items()}}
        try:
            request = endpoint.parse_request(fields, http_info)
            if is_error(request):
                return self.refuse(400, request["error"], request.get("error_description", ""))
            result = endpoint.process_request(request)
            if is_error(result):
                return self.refuse(400, result["error"], result.get("error_description", ""))
            response = endpoint.do_response(request=request, **result)
        except ClientAuthenticationError as error:
            # RFC 6749 section 5.2
            challenge = ("www-authenticate", 'Basic realm="token"')
            return self.refuse(401, "invalid_client", str(error), [challenge])
        except JWKESTException as error:
            # A token that is none of ours: idpyoidc leaves it to its caller.
            return self.refuse(400, "invalid_request", type(error).__name__)
        if endpoint.response_placement == "url":
            return self.answer(302, "", [("location", response["response"])])
        return self.answer(200, response["response"], response["http_headers"])

    def refuse(self, status, error, description, headers=()):
        """An error, RFC 6749 section 5.2."""
        text = ResponseMessage(error=error, error_description=description).to_json()
        self.answer(status, text, [("content-type", "application/json"), *headers])

    def answer(self, status, text, headers):
        """Sends an answer."""
        content = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def list_or_one(name, values):
    """A parameter as idpyoidc takes it; more than one value only where RFC 8693 section 2.1 has it."""
    if name in LISTS:
        return values
    if len(values) > 1:
        raise ValueError(f"{name} more than once")
    return values[0]


def is_error(message):
    """Whether idpyoidc has refused something."""
    return "error" in message


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
    listener.daemon_threads = True
    listener.oauth = start()
    print(listener.server_address[1])
    sys.stdout.flush()
    listener.serve_forever()
