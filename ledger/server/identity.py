"""Who asks and whether they may: authenticators and authorizers, as the flags name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.apimachinery.resource import GVK, Key, Object
from ledger.auth.api import Authenticate, AuthenticateToken, Authorize
from ledger.auth.authenticators import request_authenticator, token_authenticator
from ledger.auth.authorizers import always_allow, always_deny, authorizer
from ledger.auth.certificates import Credentials
from ledger.auth.front_proxy import FrontProxy, signers_in
from ledger.auth.jwt import VerificationKey, load_private_key
from ledger.auth.rbac import GROUP as RBAC_GROUP
from ledger.auth.rbac import Rbac
from ledger.auth.serviceaccounts import ServiceAccountTokens
from ledger.auth.tokenfile import parse_token_file, token_file_authenticator
from ledger.auth.webhooks import AccessWebhook, TokenWebhook, Webhook, read_endpoint
from ledger.controllers.authentication_trust import trust_data
from ledger.handlers.tokens import TokenIssuer
from ledger.outbound.client import Client
from ledger.projections.store import Store
from ledger.registry.body import decode
from ledger.server.config import Config
from ledger.server.follow import followed

ISSUER = "https://kubernetes.default.svc"
AUDIENCES = (ISSUER,)
RBAC_RESOURCES = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the rest of the server needs to know who asks, and what they may."""

    authenticate: Authenticate
    authenticate_token: AuthenticateToken
    authorize: Authorize
    rbac: Rbac
    issuer: TokenIssuer
    public: VerificationKey  # of the issuer's key
    trust: dict[str, str]  # whom we trust, as the ConfigMap for extension servers tells it


def identity(
    config: Config,
    store: Store,
    credentials: Credentials,
    client: Client,
    clock: Callable[[], int],
    new_uid: Callable[[], str],
) -> Identity:
    """RBAC and the tokens of service accounts follow the store from now on; `client` asks webhooks."""
    rbac = followed(store, Rbac(), RBAC_GROUP, RBAC_RESOURCES)
    key = load_private_key(credentials.service_account_key.read_bytes())
    public = VerificationKey(key.public_key())

    def lookup(key: Key) -> Object | None:
        with store.view() as view:
            found = view.get(key)
        return None if found is None else decode(found)

    accounts = ServiceAccountTokens((ISSUER,), (public,), AUDIENCES, lookup, clock)
    store.engine.subscribe(accounts.follow)
    tokens: list[AuthenticateToken] = [*_token_file(config), accounts, *_token_webhook(config, client)]
    trust = _trust(config, credentials)
    authenticate = request_authenticator(
        tokens,
        audiences=AUDIENCES,
        anonymous=config.anonymous_auth,
        front_proxy=_front_proxy(config, trust),
        client_signers=signers_in(trust["client-ca-file"].encode()),
    )
    authorize = _authorize(config, rbac, client)
    issuer = TokenIssuer(ISSUER, key, AUDIENCES, lookup, new_uid)
    return Identity(authenticate, token_authenticator(tokens), authorize, rbac, issuer, public, trust)


def _authorize(config: Config, rbac: Rbac, client: Client) -> Authorize:
    if config.authorization_modes == ("AlwaysAllow",):
        return always_allow
    known: dict[str, Authorize] = {"RBAC": rbac.authorize, "AlwaysAllow": always_allow, "AlwaysDeny": always_deny}
    if config.authorization_webhook_config_file is not None:
        kind = GVK("authorization.k8s.io", config.authorization_webhook_version, "SubjectAccessReview")
        known["Webhook"] = AccessWebhook(
            Webhook(client, read_endpoint(config.authorization_webhook_config_file), kind),
            config.authorization_webhook_cache_authorized_ttl_s,
            config.authorization_webhook_cache_unauthorized_ttl_s,
        )
    return authorizer([(mode.lower(), known[mode]) for mode in config.authorization_modes])


def _token_file(config: Config) -> list[AuthenticateToken]:
    if config.token_auth_file is None:
        return []
    with config.token_auth_file.open() as lines:
        return [token_file_authenticator(parse_token_file(lines, str(config.token_auth_file)), AUDIENCES)]


def _token_webhook(config: Config, client: Client) -> list[AuthenticateToken]:
    if config.authentication_token_webhook_config_file is None:
        return []
    kind = GVK("authentication.k8s.io", config.authentication_token_webhook_version, "TokenReview")
    webhook = Webhook(client, read_endpoint(config.authentication_token_webhook_config_file), kind)
    return [TokenWebhook(webhook, AUDIENCES, config.authentication_token_webhook_cache_ttl_s)]


def _trust(config: Config, credentials: Credentials) -> dict[str, str]:
    client_ca = config.client_ca_file or credentials.ca.certificate
    proxy_ca = config.requestheader_client_ca_file or credentials.front_proxy_ca.certificate
    headers = {
        "username": config.requestheader_username_headers,
        "uid": config.requestheader_uid_headers,
        "group": config.requestheader_group_headers,
        "extra": config.requestheader_extra_headers_prefix,
    }
    client_pem, proxy_pem = (file.read_text(errors="replace") for file in (client_ca, proxy_ca))
    return trust_data(client_pem, proxy_pem, config.requestheader_allowed_names, headers)


def _front_proxy(config: Config, trust: dict[str, str]) -> FrontProxy:
    return FrontProxy(
        signers_in(trust["requestheader-client-ca-file"].encode()),
        config.requestheader_allowed_names,
        config.requestheader_username_headers,
        config.requestheader_uid_headers,
        config.requestheader_group_headers,
        config.requestheader_extra_headers_prefix,
    )
