"""Verifies SAML responses with python3-onelogin-saml2, which checks signature, schema and everything that is said.

A question is {"response" (base64), "issuer", "certificate" (PEM), "audience", "recipient"}; the answer
{"refused": why or "", "nameID", "attributes"}.
"""

import json
import sys
from urllib.parse import urlsplit

try:
    from onelogin.saml2.response import OneLogin_Saml2_Response
    from onelogin.saml2.settings import OneLogin_Saml2_Settings
except ImportError:
    print("MISSING python3-onelogin-saml2", flush=True)
    sys.exit()


def settings(question):
    return OneLogin_Saml2_Settings({
        "strict": True,
        "sp": {
            "entityId": question["audience"],
            "assertionConsumerService": {"url": question["recipient"]},
        },
        "idp": {
            "entityId": question["issuer"],
            "singleSignOnService": {"url": "https://idp.example/login"},
            "x509cert": question["certificate"],
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantNameId": True,
            "wantAttributeStatement": False,
            "rejectDeprecatedAlgorithm": True,
        },
    })


def answer(question):
    url = urlsplit(question["recipient"])
    received_at = {
        "https": "on" if url.scheme == "https" else "off",
        "http_host": url.netloc,
        "script_name": url.path,
        "get_data": {},
    }
    try:
        response = OneLogin_Saml2_Response(settings(question), question["response"])
        if not response.is_valid(received_at):
            return {"refused": response.get_error() or "no reason given"}
        return {"refused": "", "nameID": response.get_nameid(), "attributes": response.get_attributes()}
    except Exception as err:  # a document that it cannot read at all
        return {"refused": f"{type(err).__name__}: {err}"}


print("READY", flush=True)
for line in sys.stdin:
    number, question = json.loads(line)
    print("ANSWER", number, json.dumps(answer(question)), flush=True)
